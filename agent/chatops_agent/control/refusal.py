"""Why an order is not carried out."""


class RefusedError(Exception):
    """The message is for the person who gave the order: what is in the way, and what to do on this host."""
