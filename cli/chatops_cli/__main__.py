"""Lets `python -m chatops_cli` be the `chatops` command."""

from chatops_cli import main

main()
