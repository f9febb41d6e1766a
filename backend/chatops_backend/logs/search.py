"""Turns what somebody types into a tsquery, in the language of web searches. Pure.

Words are all wanted; `"several words"` stand one after the other, `conn*` begins a word, `-word` is not there, `or`
stands between alternatives. What is between letters and digits counts as space, as in the table's column `words`, so
that nothing of what is typed reaches the database but letters and digits between quotes.
"""

import re
import string

MOST_TERMS = 30

_SPACES = str.maketrans(dict.fromkeys(string.punctuation, " "))
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')


def to_tsquery(search: str) -> str | None:
    """The text of a tsquery for `to_tsquery('simple', …)`; None when there is no word in it."""
    query = ""
    operator = ""
    for negated, phrase, word in _TERM.findall(search)[:MOST_TERMS]:
        if word.lower() == "or" and not negated and query:
            operator = " | "
            continue
        words = _words(phrase or word)
        if not words:
            continue
        # What stands together, as 10.0.0.1 does, is looked for together.
        term = " <-> ".join(f"'{part}'" for part in words) + (":*" if word.endswith("*") else "")
        if len(words) > 1:
            term = f"({term})"
        query += (operator or (" & " if query else "")) + ("!" if negated else "") + term
        operator = ""
    return query or None


def _words(text: str) -> list[str]:
    return "".join(c if c.isprintable() else " " for c in text.translate(_SPACES)).split()
