#!/bin/sh
# Writes the lock files from pyproject.toml; needs uv. The output names no registry and no path of the machine.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "make lock needs uv (pip install uv)" >&2; exit 1; }
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-annotate --extra server --extra client --extra dashboard --extra docker "$@" pyproject.toml; }
compile --group build --output-file locks/runtime.txt
compile --group dev --constraint locks/runtime.txt --output-file locks/dev.txt
compile --group notebooks --constraint locks/dev.txt --output-file locks/notebooks.txt
if grep -nE '^chatops|https?://' locks/*.txt; then echo "a lock names this project or a host" >&2; exit 1; fi
