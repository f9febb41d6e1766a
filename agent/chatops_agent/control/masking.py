"""Hides what looks like a secret in a command line. A pattern cannot know every secret; it knows the usual places."""

import re
from collections.abc import Sequence

HIDDEN = "***"
MAX_CHARACTERS = 400
MAX_ARGUMENTS = 200

# Whoever runs a program chooses its command line, so these take time in proportion to it: they look ahead for the end
# of a name before they look for a word in it, and a name begins in one place only.
_WORDS = r"(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth)"
# Holds such a word, or ends in a short one that stands by itself.
_NAME = rf"[\w-]*?(?:{_WORDS}[\w-]*+|(?<![^\W_])(?:pass|pwd|pw)(?![\w-]))"
_IS = r"""["']?\s*[=:]\s*["']?"""
# --password=…, PGPASSWORD=…, -Dsome.token=…, {"secret": "…"}
_ASSIGNED = re.compile(rf"""(?i)((?<![\w-])(?=[\w-]++{_IS}[^\s"',&;]){_NAME}{_IS})([^\s"',&;]+)""")
# --password …, --token …
_OPTION = re.compile(rf"(?i)^--?(?=[\w-]*+$){_NAME}$")
_IN_ADDRESS = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+(@)")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_KNOWN = re.compile(
    r"\b(?:chatops_agent_\w+|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{16,}"
    r"|AKIA[0-9A-Z]{12,}|eyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*)"
)
# mysql -psecret, curl -u user:secret, sshpass -p secret
_GLUED_PASSWORD = re.compile(r"^-p(?=.{3,})(?!\d+(:\d+)*$)\S+$")
_GLUED_PROGRAMS = ("mysql", "mariadb", "mysqldump", "mysqladmin", "sshpass", "7z", "zip")
_USER_OPTION = ("-u", "--user", "--proxy-user", "-U")


def masked(argv: Sequence[str]) -> str:
    """The arguments as one line, secrets hidden, at most `MAX_CHARACTERS` long."""
    parts: list[str] = []
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    hide_next = user_next = False
    length = 0
    for argument in argv[:MAX_ARGUMENTS]:
        if hide_next:
            parts.append(HIDDEN)
        elif user_next and ":" in argument:
            parts.append(f"{argument.partition(':')[0]}:{HIDDEN}")
        elif program in _GLUED_PROGRAMS and _GLUED_PASSWORD.match(argument):
            parts.append(f"-p{HIDDEN}")
        else:
            parts.append(_masked(argument))
        hide_next = _OPTION.match(argument) is not None or (program in _GLUED_PROGRAMS and argument == "-p")
        user_next = argument in _USER_OPTION
        length += len(parts[-1]) + 1
        if length > MAX_CHARACTERS:
            break
    line = " ".join(parts)
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 1] + "…"


def _masked(argument: str) -> str:
    text = argument[: 4 * MAX_CHARACTERS]
    text = _IN_ADDRESS.sub(rf"\1{HIDDEN}\2", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    return _KNOWN.sub(HIDDEN, text)
