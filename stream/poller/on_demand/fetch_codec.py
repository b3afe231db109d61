"""Fetch requests from a record's bytes, and their account.

Any bytes are either a request that can be served or a DecodeError with a reason. No error repeats what the
record contains. Requests of version 1, with one read each, may still be in the topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stream.core.events import DecodeError
from stream.core.fetches import PRIORITIES, FetchRequest
from stream.core.sources import FETCHED_SOURCES, SOURCE_BY_NAME
from stream.poller.resources.account import Account

ATTEMPTS = range(1, 1 << 31)

REQUEST_LIMIT_BYTES = 65_536
"""A request has a few hundred bytes. Its result repeats them, and would be retried for ever if refused."""


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_request(value: bytes | None) -> FetchRequest:
    """The request in a record's value. Raises DecodeError."""
    if value is None:
        raise DecodeError("not_an_object", "the value is null")
    if len(value) > REQUEST_LIMIT_BYTES:
        raise DecodeError("too_large", "larger than any fetch request")
    try:
        said = _decode(value)
        if said.get("v") == 1:
            said = {**said, "reads": [said]}
        request = msgspec.convert(said, FetchRequest)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid_field", f"a fetch request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DecodeError("not_json", "a fetch request that is not JSON") from None
    except RecursionError:
        raise DecodeError("too_deep", "nested deeper than a parser follows") from None
    if request.v not in (1, 2):
        raise DecodeError("unsupported_version", "v is neither 1 nor 2")
    if not request.reads or len({(one.source, one.edge) for one in request.reads}) < len(request.reads):
        raise DecodeError("invalid_field", "a fetch request without reads, or with one twice")
    if any(read.source not in FETCHED_SOURCES for read in request.reads):
        raise DecodeError("unknown_source", "a fetch request for a source that is not read by call")
    if request.priority not in PRIORITIES:
        raise DecodeError("invalid_field", "a fetch request of an unknown priority")
    if request.attempt not in ATTEMPTS:
        raise DecodeError("invalid_field", "a fetch request whose attempt is not a count")
    provider, _, call_id = request.key.partition(":")
    if not call_id or any(SOURCE_BY_NAME[read.source].provider != provider for read in request.reads):
        raise DecodeError("invalid_field", "a fetch request whose key is not a call of the source's provider")
    return request


def account_for(request: FetchRequest, accounts: Sequence[Account]) -> Account | None:
    """The account whose credentials read it.

    Telnyx records do not always name their account: a single configured account gets all of them.
    """
    provider = request.key.partition(":")[0]
    own = [account for account in accounts if account.provider == provider]
    exact = next((account for account in own if account.id == request.account), None)
    if exact is None and provider == "telnyx" and len(own) == 1:
        return own[0]
    return exact
