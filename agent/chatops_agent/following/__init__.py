"""Follows log files and the journal, for `runner.py`. Loaded only when some are configured."""
