#!/bin/sh
# Makes the files that docker-compose.yml hands to its containers. Keeps those that exist, so it is safe to run again.
set -eu
cd "$(dirname "$0")"
# The containers' users must be able to read the files; the folder keeps everybody else on this host out.
chmod 700 .
umask 022

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
make_file() {
  if [ -s "$1" ]; then echo "secrets/$1 exists, kept"; else printf '%s' "$2" > "$1" && echo "secrets/$1 made"; fi
}

make_file database_password "$(random 24)"
make_file database_url "postgresql://chatops:$(cat database_password)@database:5432/chatops"
make_file secret_key "$(random 48)"
make_file admin_password "$(random 12)"
make_file dashboard_secret "$(random 32)"
# The agent's key comes from the running backend: see docs/operations.md.
touch agent_key
