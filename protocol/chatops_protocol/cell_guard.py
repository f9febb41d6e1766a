"""Text cells of CSV files that a spreadsheet would run as formulas. Pure; used by the export and by who reads it back.

The guard is an apostrophe. Text that starts with one is guarded too, so that taking the guard off gives back what was.
"""

import re

# As a regular expression.
FORMULA_START = r"^[=+\-@\t\r']"
_GUARDED = re.compile(r"'[=+\-@\t\r']")


def unguarded(text: str) -> str:
    return text[1:] if _GUARDED.match(text) else text
