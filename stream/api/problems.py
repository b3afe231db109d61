"""Errors as problem details (RFC 9457): what went wrong, for a person and for a program.

No answer repeats what the client has sent, or says anything of the inside of the program.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from stream.service.errors import safe_traceback

PROBLEM_JSON = "application/problem+json"

log = logging.getLogger("callstream.api")


class InvalidParameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter that cannot be used."""

    name: Annotated[str, msgspec.Meta(description="Its name.")]
    reason: Annotated[str, msgspec.Meta(description="What it must be.")]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was not answered. (RFC 9457)"""

    title: Annotated[str, msgspec.Meta(description="The status in words.")]
    status: Annotated[int, msgspec.Meta(description="The HTTP status.", ge=400, le=599)]
    type: Annotated[str, msgspec.Meta(description="`about:blank`: the status says what it is.")] = (
        "about:blank"
    )
    detail: Annotated[str, msgspec.Meta(description="What went wrong.")] = ""
    invalid: Annotated[
        list[InvalidParameter], msgspec.Meta(description="The parameters that cannot be used.")
    ] = []


class Refused(Exception):
    """A request is not answered as it asks. `kind`: the reason as a word of the metrics."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        invalid: list[InvalidParameter] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.invalid = invalid or []


def unavailable(detail: str, retry_after_s: int = 5) -> Refused:
    """For a database or a broker that does not answer."""
    return Refused(503, detail, headers={"Retry-After": str(retry_after_s)})


def encoded(status: int, detail: str, invalid: list[InvalidParameter] | None = None) -> bytes:
    title = HTTPStatus(status).phrase
    return msgspec.json.encode(Problem(title=title, status=status, detail=detail, invalid=invalid or []))


def problem(
    status: int,
    detail: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    invalid: list[InvalidParameter] | None = None,
) -> Response[bytes]:
    body = encoded(status, detail, invalid)
    return Response(body, status_code=status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


def _of_refused(_: Request[Any, Any, Any], error: Refused) -> Response[bytes]:
    return problem(error.status, error.detail, headers=error.headers, invalid=error.invalid)


def _of_validation(_: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Litestar names each parameter and what it must be. Its detail, which repeats the URL, is left out."""
    said: list[Any] = error.extra if isinstance(error.extra, list) else []
    found = [
        InvalidParameter(
            str(one.get("key", "")), _QUOTED.sub("not one of the words", str(one.get("message")))
        )
        for one in said
        if isinstance(one, dict)
    ]
    return problem(400, "A parameter of the request cannot be used.", invalid=found)


_QUOTED = re.compile(r"'.*'\Z", re.DOTALL)
"""The value that is quoted at the end of a message."""


def _of_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    allowed = {name: said for name, said in (error.headers or {}).items() if name.lower() == "allow"}
    return problem(error.status_code, _DETAILS.get(error.status_code, ""), headers=allowed)


_DETAILS = {
    404: "There is nothing under this path.",
    405: "This path does not take this method.",
    413: "The body of the request is too large.",
}


def _of_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("%s failed: %s", request.scope.get("path_template", "a request"), safe_traceback(error))
    return problem(500, "The request could not be answered because of an error of ours.")


HANDLERS: dict[Any, Any] = {
    Refused: _of_refused,
    ValidationException: _of_validation,
    HTTPException: _of_http,
    Exception: _of_bug,
}
"""Exception handlers of the app. A router with another form of errors has its own for the same classes."""

MEANINGS = {
    400: "A parameter cannot be used.",
    401: "There is no token, or it is not known.",
    403: "The token does not allow this.",
    404: "There is none, or the token does not allow reading it.",
    429: "The token has sent too many requests; `Retry-After` says when to try again.",
    503: "The archive does not answer; `Retry-After` says when to try again.",
}


def documented(*statuses: int, html: bool = False) -> dict[int, ResponseSpec]:
    """`responses` of a route for the OpenAPI document: 401, 429 and 503, which every route has, and these.

    `html`: they are pages.
    """
    return {
        status: ResponseSpec(
            str if html else Problem,
            generate_examples=False,
            description=MEANINGS[status],
            media_type=MediaType.HTML if html else PROBLEM_JSON,
        )
        for status in sorted({401, 429, 503, *statuses})
    }
