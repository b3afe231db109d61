"""How Twilio words its answers: error bodies, envelopes of lists, links between pages.

An error's code is a number of Twilio's error dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from stream.provider_api.http_types import ApiError, ApiRequest, ApiResponse, ErrorResponses
from stream.provider_api.time_formats import filter_seconds
from stream.provider_api.twilio_paging import Cursor, ListPage, cursor

TWILIO = "twilio"
ACCOUNT = "/2010-04-01/Accounts/{account}"
_Found = TypeVar("_Found")
_PAGING = ("PageSize", "Page", "PageToken")
_MOST, _USUAL = 1000, 50


def error(status: int, code: int, message: str, *headers: tuple[str, str]) -> ApiResponse:
    body = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return ApiResponse(body, status, headers)


def not_found(path: str) -> ApiResponse:
    return error(404, 20404, f"The requested resource {path} was not found")


def invalid(name: str) -> ApiError:
    return ApiError(error(400, 20001, f"Invalid parameter {name}"))


def invalid_token() -> ApiResponse:
    return error(400, 21481, "Invalid PageToken")


TWILIO_ERRORS = ErrorResponses(
    not_found=not_found,
    not_allowed=lambda: error(405, 20004, "Method not allowed", ("Allow", "GET")),
    unauthenticated=lambda: error(
        401, 20003, "Authenticate", ("WWW-Authenticate", 'Basic realm="Twilio API"')
    ),
    too_many=lambda after_s: error(429, 20429, "Too Many Requests", ("Retry-After", str(after_s))),
    unavailable=lambda after_s: error(503, 20503, "Service unavailable", ("Retry-After", str(after_s))),
    broken=lambda: error(500, 20500, "An internal server error has occurred"),
)


class TwilioPaging(NamedTuple):
    size: int
    number: int
    at: Cursor | None


def paging_of(parameters: Mapping[str, str]) -> TwilioPaging:
    """The requested page. Its number is only repeated in links: the token alone says where it begins."""
    size = _whole(parameters, "PageSize", _USUAL)
    if size > _MOST:
        raise ApiError(error(400, 20007, "Page size too large"))
    if size < 1:
        raise invalid("PageSize")
    token = parameters.get("PageToken")
    try:
        at = cursor(token) if token else None
    except ValueError:
        raise ApiError(invalid_token()) from None
    return TwilioPaging(size, _whole(parameters, "Page", 0), at)


def _whole(parameters: Mapping[str, str], name: str, usual: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid(name)
    return int(text)


def one_of(parameters: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    text = parameters.get(name)
    if text and text not in known:
        raise invalid(name)
    return text or None


def filter_second(parameters: Mapping[str, str], name: str, end: int) -> int | None:
    """A filter's time in seconds since 1970: of a day its first second, or (`end` 1) its last."""
    text = parameters.get(name)
    try:
        return filter_seconds(text)[end] if text else None
    except ValueError:
        raise invalid(name) from None


def existing(request: ApiRequest, found: _Found | None) -> _Found:
    if found is None:
        raise ApiError(not_found(request.path))
    return found


def uri_list(request: ApiRequest, key: str, found: ListPage, paging: TwilioPaging) -> dict[str, Any]:
    """The envelope of version 2010-04-01: links are relative to the host."""
    start = paging.number * paging.size if found.rows else 0
    first, previous, this, following = _links(request, found, paging)
    return {
        "first_page_uri": first,
        "end": start + max(len(found.rows) - 1, 0),
        "previous_page_uri": previous,
        key: found.rows,
        "uri": this,
        "page_size": paging.size,
        "start": start,
        "next_page_uri": following,
        "page": paging.number,
    }


def meta_list(request: ApiRequest, key: str, found: ListPage, paging: TwilioPaging) -> dict[str, Any]:
    """The envelope of the newer APIs: links are absolute."""
    links = [link and request.origin + link for link in _links(request, found, paging)]
    first, previous, this, following = links
    return {
        "meta": {
            "page": paging.number,
            "page_size": paging.size,
            "first_page_url": first,
            "previous_page_url": previous,
            "url": this,
            "next_page_url": following,
            "key": key,
        },
        key: found.rows,
    }


def _links(request: ApiRequest, found: ListPage, paging: TwilioPaging) -> list[str | None]:
    """The paths of the first, the previous, this and the next page, with the request's own filters."""
    kept = [(name, value) for name, value in request.parameters.items() if name not in _PAGING]

    def link(number: int, at: Cursor | None) -> str:
        said = [*kept, ("PageSize", str(paging.size)), ("Page", str(number))]
        if at is not None:
            said.append(("PageToken", at.token))
        return f"{request.path}?{urlencode(said, quote_via=quote)}"

    return [
        link(0, None),
        found.before and link(max(paging.number - 1, 0), found.before),
        link(paging.number, paging.at),
        found.after and link(paging.number + 1, found.after),
    ]
