#!/bin/sh
# Makes .venv with the packages of locks/$1.txt and this checkout installed editable. Called by the Makefile when a lock
# has changed. Only wheels are installed, so no compiler is needed. Set PYTHON to choose the interpreter.
set -eu
cd "$(dirname "$0")/.."
lock=$1

usable() { # Debian's python3 comes without ensurepip unless python3-venv is installed
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1
}

find_python() {
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if usable "$candidate"; then echo "$candidate" && return; fi
  done
  {
    echo "ChatOps needs Python 3.11 or newer with its venv module; tried: ${PYTHON:-python3 python3.13 python3.12 python3.11}."
    if [ -e /etc/debian_version ]; then echo "On Debian: apt-get install python3-venv"; fi
    echo "Name another interpreter with: make PYTHON=/path/to/python3 …"
  } >&2
  return 1
}

# A checkout that was moved has a .venv whose scripts point to the old place.
if [ -x .venv/bin/pip ] && ! .venv/bin/pip --version >/dev/null 2>&1; then
  echo "the environment in .venv does not work any more: making it again"
  rm -rf .venv
fi
if [ ! -x .venv/bin/pip ]; then
  python=$(find_python)
  echo "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
echo "installing locks/$lock.txt (the first time downloads, a minute or two)"
pip install --quiet --require-hashes --only-binary :all: -r "locks/$lock.txt"
pip install --quiet --no-deps --no-build-isolation --editable .
# The other locks hold what running needs too, in the same versions.
if [ "$lock" != runtime ]; then touch .venv/installed-runtime; fi
touch ".venv/installed-$lock"
