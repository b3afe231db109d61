"""Errors as Telnyx writes them. A code is a string, and one that Telnyx documents."""

from __future__ import annotations

from typing import Any

from stream.simulator.calls.time_formats import iso_us, microseconds
from stream.simulator.rest.http_types import ApiError, ApiResponse, ErrorResponses

_TITLES = {
    "10005": ("Resource not found", "The requested resource or URL could not be found."),
    "10007": ("Unexpected error", "An unexpected error occured."),
    "10009": (
        "Authentication failed",
        "The required authentication headers were either invalid or not included in the request.",
    ),
    "10011": ("Too many requests", "You have exceeded the maximum number of allowed requests."),
    "10015": ("Bad Request", "The request failed because it was not well-formed."),
}


def error(
    status: int, code: str, *headers: tuple[str, str], parameter: str = "", detail: str = ""
) -> ApiResponse:
    """An error response."""
    title, usual = _TITLES[code]
    one: dict[str, Any] = {"code": code, "title": title, "detail": detail or usual}
    if parameter:
        one["source"] = {"parameter": parameter}
    one["meta"] = {"url": f"https://developers.telnyx.com/docs/overview/errors/{code}"}
    return ApiResponse({"errors": [one]}, status, headers)


def bad(parameter: str, detail: str) -> ApiError:
    """A wrong parameter. `detail` completes *The parameter …*."""
    return ApiError(error(400, "10015", parameter=parameter, detail=f"The parameter {detail}."))


def undocumented(name: str) -> ApiError:
    """A filter that Telnyx does not document. Ignoring it would look like an answer."""
    return bad(f"filter[{name}]", "is not documented")


def check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises ApiError if a filter's value is unknown."""
    if value not in known:
        raise bad(f"filter[{name}]", f"must be one of {', '.join(known)}")


def filter_time(name: str, text: str) -> str:
    """A filter's time in the form of `sortable`. Raises ApiError."""
    try:
        return iso_us(microseconds(text))
    except ValueError:
        raise bad(f"filter[{name}]", "must be an ISO 8601 time") from None


def _too_many(retry_after_s: int) -> ApiResponse:
    return error(429, "10011", ("Retry-After", str(retry_after_s)))


def _not_allowed() -> ApiResponse:
    return error(405, "10015", ("Allow", "GET"), detail="The method is not allowed.")


TELNYX_ERRORS = ErrorResponses(
    not_found=lambda _: error(404, "10005"),
    not_allowed=_not_allowed,
    too_many=_too_many,
    broken=lambda: error(500, "10007"),
)
