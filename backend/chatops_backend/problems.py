"""Errors as RFC 9457 problem documents. `app.py` installs `exception_handlers`; routes raise `ProblemError`.

A `detail` says what to do. Nothing of an unexpected error leaves the process but in its log.
"""

import logging
import re
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from chatops_backend.database.interface import DatabaseUnavailableError
from chatops_backend.database.time_limits import StatementTooLongError
from chatops_backend.validation_words import in_words
from chatops_protocol.resources import Problem

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DATABASE_RETRY_AFTER_S = 2

# How Litestar says it; a test notices when that changes.
_MISSING = re.compile(r"Missing required (\w+) parameter '(\w+)'")

# What Litestar says of its own refusals does not tell a person what to do.
_ADVICE = {
    404: "There is nothing at this address; /schema lists what there is.",
    405: "This address does not take this method; the Allow header lists those it takes.",
    413: "The body is larger than this server takes; send less at a time.",
}


class ProblemError(Exception):
    """A refusal with everything its problem document says."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        extra: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.problem = Problem(title=title, status=status, detail=detail, extra=extra)
        self.headers = headers or {}


def not_found(what: str, identifier: int) -> ProblemError:
    return ProblemError(404, "Not found", f"There is no {what} {identifier}; it may have been deleted.")


def respond(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(
        msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers or {}
    )


def _from_problem_error(_: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    return respond(error.problem, error.headers)


def _from_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code >= 500:
        return _from_unexpected(request, error)
    detail = _ADVICE.get(error.status_code, error.detail)
    return respond(Problem(_title(error.status_code), error.status_code, detail), error.headers)


def _from_validation(_: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Litestar's own detail repeats the address with its query, so it is written anew."""
    missing = _MISSING.match(error.detail)
    if missing is not None:
        return respond(Problem("The request is not valid", 400, f"Add the {missing[1]} parameter `{missing[2]}`."))
    items = [item for item in error.extra if isinstance(item, dict)] if isinstance(error.extra, list) else []
    extra = [item | {"message": in_words(str(item.get("message", "")))} for item in items]
    faults = "; ".join(f"{item['key']} {item['message']}" for item in extra if item.get("key"))
    detail = f"{faults}. Correct it and send it again." if faults else "Correct the request and send it again."
    return respond(Problem("The request is not valid", 400, detail, extra=extra or None))


def _from_msgspec(_: Request[Any, Any, Any], error: msgspec.ValidationError) -> Response[bytes]:
    message, _at, path = str(error).partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    extra: list[dict[str, Any]] = [{"message": in_words(message), "key": key, "source": "body"}]
    detail = f"{key or 'The body'} {in_words(message)}. Correct it and send it again."
    return respond(Problem("The request is not valid", 400, detail, extra=extra))


def _from_undecodable(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What msgspec raises, beside its own errors, for text that is not UTF-8 and for bottomless nesting."""
    log.info("%s %s could not be decoded: %s", request.method, request.url.path, type(error).__name__)
    return respond(Problem("The request is not valid", 400, "Send JSON in UTF-8, not nested more than a few levels."))


def _from_text(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return respond(
        Problem("The request is not valid", 400, "Remove the NUL characters from the text and send it again.")
    )


def _from_unavailable_database(_: Request[Any, Any, Any], error: DatabaseUnavailableError) -> Response[bytes]:
    log.warning("a request found no database: %s", error)
    detail = "The database does not answer at the moment; try again in a few seconds."
    return respond(Problem("Database unavailable", 503, detail), {"Retry-After": str(DATABASE_RETRY_AFTER_S)})


def _from_too_long(request: Request[Any, Any, Any], error: StatementTooLongError) -> Response[bytes]:
    log.warning("%s %s: %s", request.method, request.url.path, error)
    detail = "The database took too long to answer and was stopped; ask for a shorter range, or for fewer servers."
    return respond(Problem("It takes too long", 504, detail))


def _from_deadlock(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.warning("a request lost against another: %s", error)
    return respond(
        Problem("Conflict", 503, "Somebody else changed the same thing at the same time; try again."),
        {"Retry-After": "1"},
    )


def _from_missing_reference(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return respond(Problem("Conflict", 409, "Something that this refers to was deleted meanwhile; look again."))


def _from_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "Something went wrong here; the server's log says what. Try again, or tell whoever runs this server."
    return respond(Problem("Internal error", 500, detail))


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


exception_handlers: ExceptionHandlersMap = {
    ProblemError: _from_problem_error,
    ValidationException: _from_validation,
    HTTPException: _from_http_exception,
    msgspec.ValidationError: _from_msgspec,
    UnicodeDecodeError: _from_undecodable,
    RecursionError: _from_undecodable,
    asyncpg.CharacterNotInRepertoireError: _from_text,
    asyncpg.UntranslatableCharacterError: _from_text,
    asyncpg.DeadlockDetectedError: _from_deadlock,
    asyncpg.ForeignKeyViolationError: _from_missing_reference,
    StatementTooLongError: _from_too_long,
    DatabaseUnavailableError: _from_unavailable_database,
    Exception: _from_unexpected,
}
