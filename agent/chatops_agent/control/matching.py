"""Whether a text matches a pattern that a person wrote, within a bound. Called by the allowlist, in a thread.

Some patterns take longer than the age of the earth for a text of forty letters, and while Python's engine matches,
nothing else of the process runs. So a process of its own matches, and the kernel ends it when it has had its time.
"""

import subprocess
import sys

# Of the processor, so that a busy host makes nobody fail; and a last bound by the clock.
MOST_CPU_S = 1
WITHIN_S = 15.0

_PROGRAM = f"""
import re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({MOST_CPU_S}, {MOST_CPU_S}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
pattern, text = sys.stdin.buffer.read().decode().split(chr(0), 1)
sys.exit(0 if re.fullmatch(pattern, text) else 10)
"""
_MATCHES, _DIFFERS = 0, 10


class TooSlowError(ValueError):
    """It did not end in time."""

    def __init__(self) -> None:
        super().__init__("takes too long to be matched; the pattern of this host's list must be made simpler")


def matches(pattern: str, text: str) -> bool:
    """Whether all of the text matches. Raise `TooSlowError`, or `ValueError` when it cannot be told."""
    if "\0" in pattern or "\0" in text:
        return False
    try:
        ended = subprocess.run(  # noqa: S603 - this interpreter, and both texts only as its input
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            input=f"{pattern}\0{text}".encode(errors="surrogatepass"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TooSlowError from None
    except OSError as error:
        raise ValueError(f"could not be matched ({error.strerror})") from None
    if ended.returncode < 0:
        raise TooSlowError
    if ended.returncode not in (_MATCHES, _DIFFERS):
        raise ValueError("could not be matched")
    return ended.returncode == _MATCHES
