"""Loads the named queries of ``sql/queries/<feature>.sql``. Parameters are written ``:name`` and passed by name.

``load_queries("accounts").find_user(database, username="ann")``: the suffix in ``-- name: find_user^`` says what comes
back (aiosql's: none = rows, ``^`` one row or None, ``$`` one value, ``!`` nothing).
"""

from functools import cache
from pathlib import Path
from typing import Any

import aiosql


def sql_directory() -> Path:
    """The `sql` folder: inside the package when installed from a wheel, at the root of the checkout otherwise."""
    packaged = Path(__file__).parents[1] / "sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "sql"


@cache
def load_queries(feature: str) -> Any:
    return aiosql.from_path(sql_directory() / "queries" / f"{feature}.sql", "asyncpg", mandatory_parameters=False)
