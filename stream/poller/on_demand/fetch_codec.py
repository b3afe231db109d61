"""Fetch requests from a record's bytes, whose account they are for, and results to an envelope's bytes.

The rule of this file: whatever it is handed, it returns a request that can be served or raises DecodeError
with a reason; no error repeats what the record says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import orjson

from stream.core.events import DecodeError
from stream.core.fetches import FETCH_RESULT, PRIORITIES, FetchRequest, FetchResult
from stream.core.sources import FETCHED_SOURCES
from stream.core.timestamps import utc
from stream.poller.resources.account import Account

ATTEMPTS = range(1, 1 << 31)

REQUEST_LIMIT_BYTES = 65_536
"""A request is a few hundred bytes. Its result repeats them; what Kafka refuses would be sent for ever."""

_decode = msgspec.json.Decoder(FetchRequest).decode


class Answer(Protocol):
    """What reading a request came to; `stream.poller.pages.paged_read.Read` is one."""

    @property
    def outcome(self) -> str: ...

    @property
    def rows(self) -> int: ...

    @property
    def complete(self) -> bool: ...

    @property
    def content(self) -> str | None: ...


def read_request(value: bytes | None) -> FetchRequest:
    """The request in a record's value. Raises DecodeError."""
    if value is None:
        raise DecodeError("not_an_object", "the value is null")
    if len(value) > REQUEST_LIMIT_BYTES:
        raise DecodeError("too_large", "larger than any fetch request")
    try:
        request = _decode(value)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid_field", f"a fetch request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DecodeError("not_json", "a fetch request that is no JSON") from None
    except RecursionError:
        raise DecodeError("too_deep", "nested deeper than a parser follows") from None
    if request.v != 1:
        raise DecodeError("unsupported_version", "v is not 1")
    if request.source not in FETCHED_SOURCES:
        raise DecodeError("unknown_source", "a fetch request for a source that is not read by call")
    if request.priority not in PRIORITIES:
        raise DecodeError("invalid_field", "a fetch request of an unknown priority")
    if request.attempt not in ATTEMPTS:
        raise DecodeError("invalid_field", "a fetch request whose attempt is no count")
    provider, _, call_id = request.key.partition(":")
    if not call_id or provider != _provider(request.source):
        raise DecodeError("invalid_field", "a fetch request whose key is no call of the source's provider")
    return request


def _provider(source: str) -> str:
    return source.partition("_")[0]


def account_for(request: FetchRequest, accounts: Sequence[Account]) -> Account | None:
    """The account whose credentials read it.

    Records of Telnyx do not always say whose they are: the only account that there is will do.
    """
    provider = _provider(request.source)
    own = [account for account in accounts if account.provider == provider]
    exact = next((account for account in own if account.id == request.account), None)
    if exact is None and provider == "telnyx" and len(own) == 1:
        return own[0]
    return exact


def result_value(request: FetchRequest, answer: Answer, now_us: int) -> bytes:
    """The envelope that is landed behind the rows, under the call's key. `now_us`: since 1970."""
    result = FetchResult(
        fetch_id=request.id,
        key=request.key,
        source=request.source,
        edge=request.edge,
        reason=request.reason,
        attempt=request.attempt,
        outcome=answer.outcome,
        rows=answer.rows,
        complete=answer.complete,
        content=answer.content,
    )
    return orjson.dumps(
        {
            "v": 1,
            "source": FETCH_RESULT,
            "received_at": utc(now_us),
            "account": request.account,
            "endpoint": None,
            "delivery": {},
            "body": msgspec.to_builtins(result),
        }
    )
