"""Errors as Twilio writes them.

The rule of this file: a code is a number, and one that Twilio's error dictionary has.
"""

from __future__ import annotations

from stream.simulator.rest.http_types import ApiError, ApiResponse, ErrorResponses


def error(status: int, code: int, message: str, *headers: tuple[str, str]) -> ApiResponse:
    """An error as Twilio writes it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return ApiResponse(
        {"code": code, "message": message, "more_info": more, "status": status}, status, headers
    )


def not_found(path: str) -> ApiResponse:
    """There is nothing at this path, or not yet."""
    return error(404, 20404, f"The requested resource {path} was not found")


def invalid(name: str) -> ApiError:
    """A parameter that cannot be read."""
    return ApiError(error(400, 20001, f"Invalid parameter {name}"))


def _too_many(retry_after_s: int) -> ApiResponse:
    return error(429, 20429, "Too Many Requests", ("Retry-After", str(retry_after_s)))


WORDS = ErrorResponses(
    not_found=not_found,
    not_allowed=lambda: error(405, 20004, "Method not allowed", ("Allow", "GET")),
    too_many=_too_many,
    broken=lambda: error(500, 20500, "An internal server error has occurred"),
)
