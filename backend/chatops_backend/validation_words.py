"""Says in people's words what msgspec says of a value. Used by `problems`."""

import re

_TYPES = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list"}
_LENGTH = re.compile(r"Expected `(str|array)` of length (<=|>=) (\d+)")
_BOUND = re.compile(r"Expected `(?:int|float)` (<=|>=) (\S+)")
_PATTERN = re.compile(r"Expected `str` matching regex")
_KIND = re.compile(r"Expected `([a-z]+)(?: \| null)?`, got `([a-z]+)`")


def in_words(message: str) -> str:
    """A clause that follows the field's name, such as "must have at least 12 characters"."""
    if found := _LENGTH.match(message):
        what = "characters" if found[1] == "str" else "entries"
        return f"must have at {'most' if found[2] == '<=' else 'least'} {found[3]} {what}"
    if found := _BOUND.match(message):
        return f"must be at {'most' if found[1] == '<=' else 'least'} {found[2]}"
    if _PATTERN.match(message):
        return "is not of the form that is wanted here, or has characters that are not allowed"
    if found := _KIND.match(message):
        return f"must be {_TYPES.get(found[1], found[1])}"
    return f"is not right: {message}"
