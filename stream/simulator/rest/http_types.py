"""What the two REST APIs decide with, without HTTP: request, response, credentials, and the rows to serve.

They can be tested without a socket. A credential is compared here and nowhere else, and no `repr` shows one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Row = dict[str, Any]


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


class ApiError(Exception):
    """The request gets an error response, worded like the provider's."""

    def __init__(self, response: ApiResponse) -> None:
        super().__init__(f"answered with {response.status}")
        self.response = response


class Route(NamedTuple):
    """One resource: its provider, its name in counters, its path for aiohttp, and what responds."""

    provider: str
    name: str
    path: str
    respond: Callable[[ApiRequest], ApiResponse]


class ErrorResponses(NamedTuple):
    """How a provider words the errors that are independent of a resource: nothing at this path, nothing can
    be written, wrong credentials, above the rate limit (retry after so many seconds), an error of its own.
    """

    not_found: Callable[[str], ApiResponse]
    not_allowed: Callable[[], ApiResponse]
    unauthenticated: Callable[[], ApiResponse]
    too_many: Callable[[int], ApiResponse]
    broken: Callable[[], ApiResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCredentials:
    """The accepted credentials: Twilio's auth tokens and API keys (`SK…` to secret), Telnyx' API keys.

    Without any, every request is refused.
    """

    twilio_tokens: tuple[str, ...] = field(default=(), repr=False)
    twilio_api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    telnyx: tuple[str, ...] = field(default=(), repr=False)

    def twilio_admits(self, authorization: str, account: str) -> bool:
        scheme, _, pair = authorization.partition(" ")
        try:
            user, _, secret = base64.b64decode(pair.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if scheme.lower() != "basic":
            return False
        if user == account:
            return _one_of(secret, self.twilio_tokens)
        return user in self.twilio_api_keys and _one_of(secret, (self.twilio_api_keys[user],))

    def telnyx_admits(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        return scheme.lower() == "bearer" and _one_of(key.strip(), self.telnyx)


def _one_of(secret: str, known: Iterable[str]) -> bool:
    given = secret.encode(errors="surrogateescape")
    return bool(secret) and any(hmac.compare_digest(given, one.encode()) for one in known)


class ProviderResources(Protocol):
    """The rows that can be read at a moment (`now_us`: microseconds since 1970, wall clock).

    Rows are as the providers write them, newest first by `date_created`, `event_timestamp` or `started_at`;
    a late row is at the position of its time. A sequence may make its rows lazily, since few are looked at.
    A call has no rows of a kind yet: an empty list or None for a summary; no such call: None.
    """

    twilio_account: str
    telnyx_account: str

    def calls(self, now_us: int) -> Sequence[Row]: ...
    def call(self, sid: str, now_us: int) -> Row | None: ...
    def call_events(self, sid: str, now_us: int) -> list[Row] | None: ...
    def insights(self, sid: str, now_us: int) -> list[Row] | None: ...
    def summary(self, sid: str, now_us: int) -> Row | None: ...
    def alerts(self, now_us: int) -> Sequence[Row]: ...
    def alert(self, sid: str, now_us: int) -> Row | None: ...
    def notifications(self, sid: str, now_us: int) -> list[Row] | None: ...
    def telnyx_events(self, now_us: int) -> Sequence[Row]: ...
    def telnyx_leg(self, leg_id: str, now_us: int) -> list[Row]: ...
    def webhook_deliveries(self, now_us: int) -> Sequence[Row]: ...
