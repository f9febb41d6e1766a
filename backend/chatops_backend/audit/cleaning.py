"""What an entry of the audit log may hold: no secrets, nothing that the database cannot store, and not without end."""

import hashlib
from typing import Any

import msgspec

# Of `before` and of `after`: what is larger is kept as its size and SHA-256.
MOST_BYTES = 65_536
MOST_TEXT = 2_000
HIDDEN = "(hidden)"
_SECRETS = ("password", "secret", "token", "api_key", "authorization", "cookie", "recovery", "otpauth", "credential")


def clean_json(value: Any) -> str | None:
    """What msgspec can encode, as text; keys that name secrets are hidden."""
    if value is None:
        return None
    encoded = msgspec.json.encode(_without_secrets(msgspec.to_builtins(value)), order="sorted")
    if len(encoded) > MOST_BYTES:
        encoded = msgspec.json.encode(
            {"omitted_bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}, order="sorted"
        )
    return encoded.decode()


def clean_text(text: str) -> str:
    # PostgreSQL stores no NUL.
    return _encodable(text.replace("\0", "\ufffd"))[:MOST_TEXT]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _encodable(str(key)): HIDDEN if held is not None and _is_secret(str(key)) else _without_secrets(held)
            for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return _encodable(value) if isinstance(value, str) else value


def _is_secret(key: str) -> bool:
    lowered = key.lower()
    return any(word in lowered for word in _SECRETS)


def _encodable(text: str) -> str:
    # UTF-8 has no half of a surrogate pair.
    return text.encode(errors="replace").decode()
