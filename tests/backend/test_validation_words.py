"""What is wrong with a value, in words a person can act on."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from chatops_backend.validation_words import in_words


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Annotated[str, Meta(min_length=12)], "short", "must have at least 12 characters"),
        (Annotated[str, Meta(max_length=3)], "too long", "must have at most 3 characters"),
        (Annotated[list[int], Meta(max_length=1)], [1, 2], "must have at most 1 entries"),
        (Annotated[int, Meta(ge=60)], 30, "must be at least 60"),
        (Annotated[str, Meta(pattern="^a$")], "b", "is not of the form"),
        (int, "30", "must be a whole number"),
        (float | None, "x", "must be a number"),
    ],
)
def test_a_refusal_says_what_is_wanted(kind: Any, value: object, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, kind)
    assert in_words(str(refused.value)).startswith(words)
