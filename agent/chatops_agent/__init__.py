"""The agent: runs on a monitored host, reads its metrics, spools them to disk and sends them to the backend."""

__version__ = "0.1.0"
