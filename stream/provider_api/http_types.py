"""What the REST APIs of both providers decide with, without HTTP: request, response, route.

They can be tested without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Row = dict[str, Any]

COMPLETENESS = "X-Callstream-Completeness"
"""The header that says what is still expected of the rows. A provider itself does not send it."""


class ApiRequest(NamedTuple):
    """A GET.

    `path` is without the query, `names` are its variable parts; `origin` is `http://host:port` as the client
    calls us, for absolute links.
    """

    path: str
    names: Mapping[str, str]
    parameters: Mapping[str, str]
    authorization: str
    origin: str
    now_us: int


class ApiResponse(NamedTuple):
    """A body to be written as JSON. `headers`: beside those that every response has."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def with_completeness(response: ApiResponse, completeness: str | None) -> ApiResponse:
    """The response with the header COMPLETENESS, if there is anything to say."""
    if completeness is None:
        return response
    return response._replace(headers=(*response.headers, (COMPLETENESS, completeness)))


class ApiError(Exception):
    """The request gets an error response, worded like the provider's."""

    def __init__(self, response: ApiResponse) -> None:
        super().__init__(f"answered with {response.status}")
        self.response = response


class Route(NamedTuple):
    """One resource: its provider, its name in counters, its path with `{name}`s, and what responds."""

    provider: str
    name: str
    path: str
    respond: Callable[[ApiRequest], ApiResponse]


class ErrorResponses(NamedTuple):
    """How a provider words the errors that are independent of a resource: nothing at this path, nothing can
    be written, wrong credentials, above the rate limit, out of order (both: retry after so many seconds), an
    error of its own.
    """

    not_found: Callable[[str], ApiResponse]
    not_allowed: Callable[[], ApiResponse]
    unauthenticated: Callable[[], ApiResponse]
    too_many: Callable[[int], ApiResponse]
    unavailable: Callable[[int], ApiResponse]
    broken: Callable[[], ApiResponse]
