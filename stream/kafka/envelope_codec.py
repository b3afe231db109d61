"""The raw envelope as bytes: how deliveries are written to the source topics and read from them.

Only this module writes and parses these records. Whatever it reads, it returns an envelope or raises
`DecodeError` with a reason, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import orjson

from stream.core.events import UNDECODABLE, DecodeError, Delivery, Envelope
from stream.core.fetches import FETCH_RESULT
from stream.core.forgetting import FORGET
from stream.core.sources import SOURCES, TWILIO_STATUS_CALLBACK
from stream.core.timestamps import instant, iso8601, utc

VERSION = 1
"""The version of the raw envelope."""

VALUE_LIMIT_BYTES = 512 * 1024
"""A callback's body is 256 KiB at most, and a polled row is one row: a larger envelope is not a delivery."""

LETTER_LIMIT_BYTES = 1_992_294
"""1.9 MiB: with its headers a dead letter fits into its topic's 2 MiB."""

_WRITTEN_SOURCES = (*SOURCES, FETCH_RESULT, FORGET)
_KNOWN_SOURCES = frozenset(_WRITTEN_SOURCES)

Headers = Sequence[tuple[str, bytes]]


class _WrittenEnvelope(Envelope, gc=False, kw_only=True):
    """An envelope as gateway and poller write it. All others take the lenient path."""

    v: Literal[1]
    source: Literal[_WRITTEN_SOURCES]  # type: ignore[valid-type]
    ordinal: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)] = 0


class _WrittenForm(_WrittenEnvelope, gc=False, kw_only=True):
    """One of a status callback: the parser makes sure that the form's values are texts."""

    is_form: ClassVar[bool] = True
    body: dict[str, str]


_decode = msgspec.json.Decoder(_WrittenEnvelope).decode
_decode_form = msgspec.json.Decoder(_WrittenForm).decode
_STATUS_CALLBACK = orjson.dumps({"v": VERSION, "source": TWILIO_STATUS_CALLBACK}).removesuffix(b"}")
"""How the usual envelope begins."""


def write_envelope(
    source: str,
    body: Any,
    *,
    received_us: int,
    account: str | None,
    endpoint: str | None,
    delivery: dict[str, Any],
    ordinal: int = 0,
) -> bytes:
    """The raw envelope of one delivery.

    - `body`: an object, or an `orjson.Fragment` of JSON, which is put in byte for byte.
    - `ordinal`: its place among identical twins; written only for a twin.
    """
    envelope = {
        "v": VERSION,
        "source": source,
        "received_at": utc(received_us),
        "account": account,
        "endpoint": endpoint,
        "delivery": delivery,
        "body": body,
    }
    if ordinal:
        envelope["ordinal"] = ordinal
    return orjson.dumps(envelope)


def read_envelope(value: bytes | None) -> Envelope:
    """The envelope in a record's value. Raises DecodeError."""
    if value is None:
        raise DecodeError("not_an_object", "the value is null")
    if len(value) > VALUE_LIMIT_BYTES:
        raise DecodeError("too_large", f"{len(value)} bytes are more than {VALUE_LIMIT_BYTES}")
    decode = _decode_form if value.startswith(_STATUS_CALLBACK) else _decode
    try:
        envelope = decode(value)
    except UNDECODABLE:
        return _decode_leniently(value)
    received_us = _canonical(envelope.received_at)
    if received_us is None:
        envelope.received_at, received_us = _received(envelope.received_at)
    envelope.received_us = received_us
    return envelope


def _decode_leniently(value: bytes) -> Envelope:
    """The envelope in an unusual value. Raises DecodeError, with what is wrong."""
    get = _object(value).get
    version = get("v")
    if version != 1 or type(version) is not int:
        raise DecodeError("unsupported_version", "v is not 1")
    source = get("source")
    if type(source) is not str:
        raise DecodeError("invalid_field", "source is not a text")
    if source not in _KNOWN_SOURCES:
        raise DecodeError("unknown_source", "source is not one of the known ones")
    received_at, received_us = _received(get("received_at"))
    body = get("body")
    if type(body) is not dict:
        raise DecodeError("invalid_field", "body is not an object")
    account, endpoint, delivery, ordinal = get("account"), get("endpoint"), get("delivery"), get("ordinal")
    if type(account) is not str and account is not None:
        raise DecodeError("invalid_field", "account is neither a text nor null")
    if type(endpoint) is not str and endpoint is not None:
        raise DecodeError("invalid_field", "endpoint is neither a text nor null")
    return Envelope(
        source,
        received_at,
        body,
        received_us,
        account,
        endpoint,
        Delivery(type(delivery) is dict and delivery.get("verified") is True),
        0 if ordinal is None else _ordinal(ordinal),
    )


def _canonical(text: str) -> int | None:
    """The microseconds of a text that is canonical already, as ours are; None of any other."""
    if text[26:] != "Z":
        return None
    second_us, fraction = _second_us(text[:20]), text[20:26]
    if second_us is None or not (fraction.isascii() and fraction.isdigit()):
        return None
    return second_us + int(fraction)


@lru_cache(maxsize=4096)
def _second_us(text: str) -> int | None:
    """The microseconds of `2026-11-20T22:10:00.`."""
    if text[10] != "T" or text[19] != "." or text[17] == "6":
        return None
    return iso8601(text[:19] + "Z")


def _received(text: Any) -> tuple[str, int]:
    """The time of receipt: the canonical text and the microseconds."""
    if type(text) is not str:
        raise DecodeError("invalid_field", "received_at is not a text")
    received_us = instant(text)
    if received_us is None:
        raise DecodeError("invalid_field", "received_at is not an RFC 3339 time")
    return utc(received_us), received_us


def _object(value: bytes) -> dict[str, Any]:
    try:
        raw = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        # orjson's message says where, never what: it carries no content.
        if "depth limit" in str(error):
            raise DecodeError("too_deep", "nested deeper than a parser follows") from None
        raise DecodeError("not_json", str(error).partition(":")[0]) from None
    if type(raw) is not dict:
        raise DecodeError("not_an_object", "the value is JSON but no object")
    return raw


def _ordinal(value: Any) -> int:
    if type(value) is int and 0 <= value < 1 << 31:
        return value
    raise DecodeError("invalid_field", "ordinal is not a small whole number")


def dead_letter_headers(
    reason: str, stage: str, error: str, topic: str, partition: int, offset: int, own: Headers
) -> list[tuple[str, bytes]]:
    """The headers of a dead letter: why and where from, then the record's own."""
    return [
        ("reason", reason.encode()),
        ("stage", stage.encode()),
        ("error", error.encode("utf-8", "replace")[:1000]),
        ("source_topic", topic.encode()),
        ("source_partition", b"%d" % partition),
        ("source_offset", b"%d" % offset),
        *own,
    ]
