"""Tokens of SASL/OAUTHBEARER, which an authorization server issues for client credentials (RFC 6749 4.4).

The clients of one connection share a token until shortly before it expires, and a failure for a moment. They
may run in several event loops: Faust's consumer has its own thread. No error has a token or a secret in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from stream.core.events import UNDECODABLE
from stream.service.errors import describe
from stream.service.http.client import session

LIMIT_S = 5.0
LARGEST_ANSWER = 64 * 1024
DEFAULT_LIFE_S = 300.0
"""How long a token is used whose answer names no life."""
LEAST_LIFE_S = 1.0
LONGEST_LIFE_S = 366 * 86400.0
RENEW_AT = 0.8
"""The part of its life after which a token is replaced: a login must not race with the expiry."""
PAUSE_S = 1.0
"""After a failure nobody asks for so long: many clients connect again and again, and wait in turn."""


class _Issued(msgspec.Struct):
    """An answer of the token endpoint (RFC 6749 5.1)."""

    access_token: Annotated[str, msgspec.Meta(min_length=1)]
    expires_in: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_LIFE_S)] | None = None


class _Refused(msgspec.Struct):
    """Why none is issued (RFC 6749 5.2)."""

    error: str


REASONS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""Values of `error` in RFC 6749 5.2. No other text of an answer is shown."""


class TokenError(KafkaConnectionError):
    """No token was issued. The message says why, and quotes nothing that was sent or answered.

    `reason`: one of REASONS, or empty.
    """

    def __init__(self, says: str, reason: str = "") -> None:
        super().__init__(says)
        self.reason = reason


class ClientCredentials(AbstractTokenProvider):
    """Gets tokens from `url`. `scope`: asked for, if not empty; `extensions`: sent beside the token."""

    def __init__(
        self,
        url: str,
        client_id: str,
        secret: str,
        *,
        scope: str = "",
        extensions: tuple[tuple[str, str], ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        # RFC 6749 2.3.1: both are form-encoded before they are joined.
        self._basic = aiohttp.encode_basic_auth(quote(client_id, safe=""), quote(secret, safe=""))
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        self._extensions = dict(extensions)
        self._clock = clock
        self._token = ""
        self._renew_at_s = self._ends_at_s = 0.0
        self._failed: TokenError | None = None
        self._asking: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def extensions(self) -> dict[str, str]:
        return self._extensions

    async def token(self) -> str:
        """The current token, or a new one. Raises TokenError."""
        async with self._asking.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            asked_s = self._clock()
            if asked_s >= self._renew_at_s:
                try:
                    issued = await self._issued()
                except TokenError as error:
                    self._failed = error
                    self._renew_at_s = self._clock() + PAUSE_S
                else:
                    self._token, self._failed = issued.access_token, None
                    life_s = issued.expires_in or DEFAULT_LIFE_S
                    self._renew_at_s = asked_s + max(life_s * RENEW_AT, LEAST_LIFE_S)
                    self._ends_at_s = asked_s + life_s
            if self._failed and self._clock() >= self._ends_at_s:
                raise TokenError(self._failed.args[0], self._failed.reason)
            return self._token

    async def _issued(self) -> _Issued:
        try:
            async with (
                session(timeout_s=LIMIT_S) as client,
                client.post(
                    self._url,
                    data=self._form,
                    headers={"Authorization": self._basic},
                    allow_redirects=False,  # the secret goes to no other address
                ) as answer,
            ):
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > LARGEST_ANSWER:
                        break
                if answer.status != 200:
                    raise _refusal(answer.status, body[:LARGEST_ANSWER])
                return _DECODER.decode(body[:LARGEST_ANSWER])
        except (aiohttp.ClientError, OSError) as error:  # among them TimeoutError
            raise TokenError(f"the token URL does not answer ({describe(error)})") from None
        except UNDECODABLE:
            raise TokenError("the token URL answers without a valid access_token or expires_in") from None


def _refusal(status: int, body: bytearray) -> TokenError:
    says = f"the token URL answers {status}"
    try:
        reason = msgspec.json.decode(body, type=_Refused).error
    except UNDECODABLE:
        return TokenError(says)
    return TokenError(f"{says} ({reason})", reason) if reason in REASONS else TokenError(says)


_DECODER = msgspec.json.Decoder(_Issued, strict=False)
"""Some servers write `expires_in` as a text."""
