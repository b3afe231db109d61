"""From a record's bytes to an envelope. What is refused, and for which reason, the job's tests say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.events import DecodeError, Delivery, Envelope
from stream.core.sources import TWILIO_STATUS_CALLBACK
from stream.kafka.envelope_codec import (
    VALUE_LIMIT_BYTES,
    _decode_leniently,
    dead_letter_headers,
    read_envelope,
)

RAW: dict[str, Any] = {
    "v": 1,
    "source": "twilio_call_event",
    "received_at": "2026-03-02T10:00:00.000001Z",
    "account": "AC1",
    "endpoint": "/2010-04-01/Accounts/AC1/Calls/CA1/Events.json",
    "delivery": {"token": "t", "attempt": 2, "query": None, "verified": True},
    "ordinal": 3,
    "body": {"request": None},
}
RECEIVED_US = 1_772_445_600_000_001


def content(envelope: Envelope) -> dict[str, Any]:
    """All fields but the version."""
    return {name: getattr(envelope, name) for name in Envelope.__struct_fields__}


def test_an_envelope_is_read_as_it_was_landed() -> None:
    assert content(read_envelope(orjson.dumps(RAW))) == content(
        Envelope(
            "twilio_call_event",
            "2026-03-02T10:00:00.000001Z",
            {"request": None},
            RECEIVED_US,
            "AC1",
            "/2010-04-01/Accounts/AC1/Calls/CA1/Events.json",
            Delivery(verified=True),
            3,
        )
    )


@pytest.mark.parametrize(
    "odd", [None, [], "yes", {}, {"verified": None}, {"verified": 1}, {"verified": "true"}]
)
def test_a_delivery_that_does_not_say_so_is_not_verified(odd: Any) -> None:
    assert not read_envelope(orjson.dumps(RAW | {"delivery": odd})).delivery.verified


def test_a_field_that_only_the_reader_sets_is_not_read() -> None:
    for odd in (1, "2026", None):
        assert read_envelope(orjson.dumps(RAW | {"received_us": odd})).received_us == RECEIVED_US


def test_what_an_envelope_may_leave_out_is_null_or_zero() -> None:
    least = {name: RAW[name] for name in ("v", "source", "received_at", "body")}
    read = read_envelope(orjson.dumps(least))
    assert (read.account, read.endpoint, read.delivery, read.ordinal) == (
        None,
        None,
        Delivery(verified=False),
        0,
    )


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T10:00:00.000001Z",
        "2026-03-02t10:00:00.000001z",
        "2026-03-02 10:00:00.000001Z",
        "2026-03-02T10:00:00.0000010Z",
        "2026-03-02T10:00:00.000001999Z",
        "2026-03-02T12:00:00.000001+02:00",
        "2026-03-02T05:00:00.000001-0500",
    ],
)
def test_the_time_of_receipt_is_one_text_for_one_instant(text: str) -> None:
    read = read_envelope(orjson.dumps(RAW | {"received_at": text}))
    assert (read.received_at, read.received_us) == ("2026-03-02T10:00:00.000001Z", RECEIVED_US)


def test_a_leap_second_is_clamped_and_its_text_with_it() -> None:
    read = read_envelope(orjson.dumps(RAW | {"received_at": "2016-12-31T23:59:60.000001Z"}))
    assert (read.received_at, read.received_us) == ("2016-12-31T23:59:59.999999Z", 1_483_228_799_999_999)


def test_the_greatest_value_is_read_and_one_byte_more_is_not() -> None:
    room = VALUE_LIMIT_BYTES - len(orjson.dumps(RAW | {"body": {"x": ""}}))
    assert read_envelope(orjson.dumps(RAW | {"body": {"x": "y" * room}})).ordinal == 3
    with pytest.raises(DecodeError) as refused:
        read_envelope(orjson.dumps(RAW | {"body": {"x": "y" * (room + 1)}}))
    assert refused.value.reason == "too_large"


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=60), anything.map(orjson.dumps)))
def test_whatever_it_is_handed_it_reads_or_refuses(value: bytes) -> None:
    with pytest.raises(DecodeError):
        read_envelope(value)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(RAW, anything)))
def test_an_envelope_with_odd_fields_is_read_or_refused(odd: dict[str, Any]) -> None:
    reason = None
    try:
        read_envelope(orjson.dumps(RAW | odd))
    except DecodeError as refused:
        reason = refused.reason
    assert reason in {None, "unsupported_version", "unknown_source", "invalid_field"}


times = st.one_of(
    st.datetimes().map(lambda at: at.strftime("%04Y-%m-%dT%H:%M:%S.%fZ")),
    st.from_regex(
        r"20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-6][0-9]\.[0-9]{6}[Zz]", fullmatch=True
    ),
    st.text("0123456789-T:.Zé", min_size=26, max_size=28),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "received_at": times,
            "source": st.sampled_from(["twilio_call_event", TWILIO_STATUS_CALLBACK]),
            "body": st.dictionaries(
                st.text(max_size=4), st.one_of(st.text(max_size=4), anything), max_size=4
            ),
            "delivery": anything,
            "account": st.one_of(st.none(), st.text(max_size=8)),
            "ordinal": st.one_of(st.none(), st.integers(-1, 2**31)),
        },
    )
)
def test_an_envelope_says_the_same_whichever_way_it_is_read(said: dict[str, Any]) -> None:
    """At once into its type, or looked through because something about it is odd."""

    def told(read: Callable[[bytes], Envelope]) -> dict[str, Any] | str:
        try:
            return content(read(orjson.dumps(RAW | said)))
        except DecodeError as refused:
            return refused.reason

    assert told(read_envelope) == told(_decode_leniently)


@pytest.mark.parametrize(
    ("body", "is_form"),
    [({"CallSid": "CA1"}, True), ({"To": ["1", "2"]}, False), ({"To": None}, False), ({"To": 1}, False)],
)
def test_a_form_is_known_as_one_where_all_of_it_is_texts(body: dict[str, Any], is_form: bool) -> None:
    envelope = read_envelope(orjson.dumps(RAW | {"source": TWILIO_STATUS_CALLBACK, "body": body}))
    assert (envelope.body, envelope.is_form) == (body, is_form)


def test_no_envelope_says_of_itself_that_it_is_a_form() -> None:
    assert not read_envelope(orjson.dumps(RAW | {"is_form": True})).is_form


def test_the_headers_of_a_dead_letter_say_why_and_where_from_and_then_its_own() -> None:
    own = [("reason", b"mine"), ("trace", b"\xff")]
    assert dead_letter_headers("not_json", "decode", "x" * 2000, "calls.callbacks.v1", 3, 44, own) == [
        ("reason", b"not_json"),
        ("stage", b"decode"),
        ("error", b"x" * 1000),
        ("source_topic", b"calls.callbacks.v1"),
        ("source_partition", b"3"),
        ("source_offset", b"44"),
        *own,
    ]
