"""Why an order is not carried out, and why a question has no answer. Each message is for the person who asked."""


class RefusedError(Exception):
    """What is in the way, and what to do on this host."""


class UnansweredError(Exception):
    """What went wrong, when nothing forbids it."""


class MissingError(UnansweredError):
    """There is no such thing here."""
