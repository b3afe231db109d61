"""A request and its answer, without the HTTP around them.

The rule of this file: what the resources decide with is here, so that they can be asked without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Row = dict[str, Any]


class ApiRequest(NamedTuple):
    """A GET.

    - `path`: as it was sent, without the query; `names`: the variable parts of it.
    - `parameters`: of the query, decoded; of a repeated one the last.
    - `origin`: `http://host:port` as the client calls us, for links that must be absolute.
    - `now_us`: when, in microseconds since 1970.
    """

    path: str
    names: Mapping[str, str]
    parameters: Mapping[str, str]
    authorization: str
    origin: str
    now_us: int


class ApiResponse(NamedTuple):
    """A body to be written as JSON, and the headers beside those that every answer has."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class ApiError(Exception):
    """The request is answered with an error; `answer` is it, in the provider's words."""

    def __init__(self, answer: ApiResponse) -> None:
        super().__init__(f"answered with {answer.status}")
        self.answer = answer


class Route(NamedTuple):
    """One resource: whose it is, how counters call it, its path for aiohttp, and what answers."""

    provider: str
    name: str
    path: str
    decide: Callable[[ApiRequest], ApiResponse]


class ErrorResponses(NamedTuple):
    """How a provider says what has nothing to do with a resource."""

    not_found: Callable[[str], ApiResponse]
    """There is nothing at this path, or not yet."""
    not_allowed: Callable[[], ApiResponse]
    """Nothing can be written here."""
    too_many: Callable[[int], ApiResponse]
    """Above the limit: not processed, to be asked again after so many seconds."""
    broken: Callable[[], ApiResponse]
    """The provider's fault, or a wanted one."""
