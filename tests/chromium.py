"""Finds the browser that the browser tests drive: Debian's Chromium, or one of another name."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    """The program; skips the test where there is none, but fails in CI, where it must not go unnoticed."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    message = "there is no Chromium; install it (Debian: apt-get install chromium)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
