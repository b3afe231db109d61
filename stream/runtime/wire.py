"""The wire: from a record's bytes to an envelope, and what cannot be read to a dead letter.

The rule of this file: it is the one place that parses what others wrote to the source topics. Whatever it
is handed, it returns an envelope or raises `DecodeError` with a reason; it never raises anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from stream.core.events import SOURCES, DecodeError, Envelope
from stream.core.instants import instant, iso8601, utc

VALUE_LIMIT_BYTES = 512 * 1024
"""A callback's body is 256 KiB at most and a polled row is one row: an envelope above this is no delivery."""

_KNOWN_SOURCES = frozenset(SOURCES)
_CANONICAL_LENGTH = len("2026-11-20T22:10:00.123456Z")

Headers = Sequence[tuple[str, bytes]]


def read_envelope(value: bytes | None) -> Envelope:
    """The envelope in a record's value. Raises DecodeError."""
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
        received_us,
        account,
        endpoint,
        delivery if type(delivery) is dict else {},
        body,
        0 if ordinal is None else _ordinal(ordinal),
    )


def _received(text: Any) -> tuple[str, int]:
    """When it was received: the canonical text and the microseconds. Ours is canonical as it comes."""
    if type(text) is not str:
        raise DecodeError("invalid_field", "received_at is not a text")
    if len(text) == _CANONICAL_LENGTH and text[19] == "." and text[26] == "Z":
        second_us = iso8601(text[:19] + "Z")
        fraction = text[20:26]
        if (
            second_us is not None
            and text[10] == "T"
            and text[17] != "6"
            and fraction.isascii()
            and fraction.isdigit()
        ):
            return text, second_us + int(fraction)
    received_us = instant(text)
    if received_us is None:
        raise DecodeError("invalid_field", "received_at is not an RFC 3339 time")
    return utc(received_us), received_us


def _object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise DecodeError("not_an_object", "the value is null")
    if len(value) > VALUE_LIMIT_BYTES:
        raise DecodeError("too_large", f"{len(value)} bytes are more than {VALUE_LIMIT_BYTES}")
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
