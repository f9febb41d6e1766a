"""What agent, backend, client and dashboard share: the metric catalogue, the messages, the REST resources.

Frozen data only. Nothing in this package reads a file, a socket or the clock.
"""

__version__ = "0.1.0"
