"""Records of rows: unchanged, under the worker's key, with ordinals; a broken row becomes a dead letter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.events import Envelope
from stream.kafka.envelope_codec import LETTER_LIMIT_BYTES, VALUE_LIMIT_BYTES, read_envelope
from stream.poller.pages.records import DeadLetter, PageRecords, RecordBuilder
from stream.sources import DECODERS
from tests.agents.batches import TOPICS, Fetched, Lane, to
from tests.poller.accounts import ACCOUNT_SID, CALL_SID, LEG, telnyx, twilio

RECEIVED_US = 1_772_445_600_000_001
CALLS_PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls"
PATHS = {
    "twilio_call": f"{CALLS_PATH}.json",
    "twilio_call_event": f"{CALLS_PATH}/{CALL_SID}/Events.json",
    "twilio_insights_event": f"/v1/Voice/{CALL_SID}/Events",
    "twilio_call_summary": f"/v1/Voice/{CALL_SID}/Summary",
    "telnyx_call_event": "/v2/call_events",
    "telnyx_webhook_delivery": "/v2/webhook_deliveries",
}
CALL_KEY, LEG_KEY = f"twilio:{CALL_SID}".encode(), f"telnyx:{LEG}".encode()
KEYED = b'"sid":"%s","call_leg_id":"%s","webhook":{"payload":{"call_leg_id":"%s"}}' % (
    CALL_SID.encode(),
    LEG.encode(),
    LEG.encode(),
)


def new_builder(source: str) -> RecordBuilder:
    return RecordBuilder(source, twilio() if source.startswith("twilio") else telnyx(), PATHS[source])


def records_of(source: str, *rows: bytes) -> PageRecords:
    return new_builder(source).page(rows, total=None, received_us=RECEIVED_US)


def body_of(value: bytes) -> bytes:
    """The bytes of the body, between the envelope's own."""
    start = value.index(b'"body":') + len(b'"body":')
    end = value.rfind(b',"ordinal":')
    return value[start : end if end > start else -1]


def ordinals(*pages: PageRecords) -> list[int]:
    return [read_envelope(row.value).ordinal for page in pages for row in page.rows]


@pytest.mark.parametrize("source", PATHS)
def test_a_row_is_written_unchanged_under_its_calls_key(source: str) -> None:
    row = (
        b'{"big": 1234567890123456789012345,"f":1.10 ,"e":1E+2,"u":"\\u00e9\\/",'
        b'"new":{"a":[null, {}]},"a":1,"a":2, ' + KEYED + b"}"
    )
    page = records_of(source, row)
    (one,) = page.rows
    assert (page.dead_letters, one.source) == ([], source)
    assert one.key == (CALL_KEY if source.startswith("twilio") else LEG_KEY)
    assert body_of(one.value) == row
    envelope = orjson.loads(one.value)
    del envelope["body"]
    assert envelope == {
        "v": 1,
        "source": source,
        "received_at": "2026-03-02T10:00:00.000001Z",
        "account": ACCOUNT_SID if source.startswith("twilio") else None,
        "endpoint": PATHS[source],
        "delivery": {"token": None, "attempt": None, "query": None, "verified": True},
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("source", PATHS)
@settings(max_examples=10, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=4), max_size=4), ascii_=st.booleans()
)
def test_a_row_is_written_unchanged_and_the_worker_decodes_it(
    source: str, rows: list[dict[str, Any]], ascii_: bool
) -> None:
    keyed = json.loads(b"{" + KEYED + b"}")
    written = [json.dumps(keyed | row, ensure_ascii=ascii_).encode("utf-8", "replace") for row in rows]
    page = records_of(source, *written)
    assert len(page.rows) + len(page.dead_letters) == len(rows)
    kept = [body_of(one.value) for one in page.rows] + [body_of(one.value) for one in page.dead_letters]
    assert sorted(kept) == sorted(written)
    fetched = [Fetched(TOPICS.polled, at, one.key, one.value) for at, one in enumerate(page.rows)]
    assert to(TOPICS.dead_letters, Lane().run(fetched)) == []


EVENT = b'{"request":{"method":"POST","url":"https://hooks.example.test/a"},"response":{"response_code":204}}'
SAME_EVENT = (
    b'{"response":{"response_code":204},  "request":{"url":"https://hooks.example.test/a","method":"POST"}}'
)
OTHER = EVENT.replace(b"204", b"500")


def test_identical_rows_are_told_apart_by_their_ordinal() -> None:
    page = records_of("twilio_call_event", EVENT, OTHER, SAME_EVENT, EVENT, OTHER)
    assert ordinals(page) == [0, 0, 1, 2, 1]
    assert b"ordinal" not in page.rows[0].value
    assert [body_of(one.value) for one in page.rows] == [EVENT, OTHER, SAME_EVENT, EVENT, OTHER]


def test_a_change_outside_a_rows_identity_does_not_make_another_row() -> None:
    """The worker's decoder says what identifies a row: not null or missing, not attempt and status."""
    insight = b'{"call_sid":"CA1","name":"ringing","edge":null}'
    assert ordinals(records_of("twilio_insights_event", insight, insight.replace(b',"edge":null', b""))) == [
        0,
        1,
    ]
    event = b'{"call_leg_id":"l","metadata":{"attempt":1,"status":"failed"}}'
    again = b'{"call_leg_id":"l","metadata":{"attempt":2,"status":"delivered"}}'
    assert ordinals(records_of("telnyx_call_event", event, again)) == [0, 1]


def test_a_row_with_an_id_has_no_ordinal() -> None:
    call = b'{"sid":"CA1","status":"completed"}'
    assert ordinals(records_of("twilio_call", call, call)) == [0, 0]
    delivery = b'{"id":"d1","webhook":{"payload":{"call_leg_id":"l"}}}'
    assert ordinals(records_of("telnyx_webhook_delivery", delivery, delivery)) == [0, 0]


def test_identical_rows_are_numbered_across_the_pages_of_one_read() -> None:
    builder = new_builder("twilio_call_event")
    pages = [builder.page([EVENT, EVENT], total=None, received_us=RECEIVED_US) for _ in range(2)]
    assert ordinals(*pages) == [0, 1, 2, 3]
    assert ordinals(records_of("twilio_call_event", EVENT)) == [0]


def telnyx_row(number: int) -> bytes:
    return b'{"call_leg_id":"l","name":"%d"}' % number


def shifted(*pages: tuple[int | None, list[int]]) -> list[list[tuple[int, int]]]:
    """(row, ordinal) of what is written of each page (total, rows)."""
    builder = new_builder("telnyx_call_event")
    found = []
    for total, rows in pages:
        page = builder.page([telnyx_row(one) for one in rows], total=total, received_us=RECEIVED_US)
        bodies = [read_envelope(one.value) for one in page.rows]
        found.append([(int(one.body["name"]), one.ordinal) for one in bodies])
    return found


def test_rows_that_move_to_the_next_page_are_the_same_rows() -> None:
    assert shifted((4, [1, 2]), (5, [2, 3]), (5, [4])) == [[(1, 0), (2, 0)], [(3, 0)], [(4, 0)]]


def test_equal_rows_that_did_not_move_are_several_rows() -> None:
    assert shifted((4, [1, 2]), (4, [2, 3])) == [[(1, 0), (2, 0)], [(2, 1), (3, 0)]]
    assert shifted((None, [1, 2]), (4, [2]), (None, [2])) == [[(1, 0), (2, 0)], [(2, 1)], [(2, 2)]]


def test_identical_rows_are_numbered_across_moved_pages() -> None:
    assert shifted((4, [1, 1]), (5, [1, 2, 2])) == [[(1, 0), (1, 1)], [(2, 0), (2, 1)]]
    assert shifted((4, [1]), (5, [1, 1, 1])) == [[(1, 0)], [(1, 1), (1, 2)]]
    assert shifted((4, [1, 1]), (5, [1]), (6, [1, 1, 1])) == [[(1, 0), (1, 1)], [], [(1, 2)]]


def test_rows_that_move_by_more_than_a_page_are_still_the_same_rows() -> None:
    pages = shifted((4, [1, 2]), (8, [5, 6]), (8, [1, 2]))
    assert pages == [[(1, 0), (2, 0)], [(5, 0), (6, 0)], []]


BROKEN = {
    "a number": (b"12", "invalid_field"),
    "null": (b"null", "invalid_field"),
    "a list": (b"[]", "invalid_field"),
    "half a surrogate pair": (rb'{"sid":"CA1","x":"\ud83d"}', "not_json"),
    "no UTF-8": (b'{"sid":"CA1","x":"\xff"}', "not_json"),
    "no id": (b'{"status":"completed"}', "missing_id"),
    "an id that is none": (b'{"sid":7}', "invalid_field"),
    "nested too deep": (b'{"sid":"CA1","x":' + b"[" * 40 + b"]" * 40 + b"}", "too_deep"),
    "far too deep": (b'{"sid":"CA1","x":' + b"[" * 5000 + b"]" * 5000 + b"}", "too_deep"),
}


@pytest.mark.parametrize(("row", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_row_that_the_worker_could_not_decode_becomes_a_dead_letter_alone(row: bytes, reason: str) -> None:
    good = b'{"sid":"CA1","status":"completed"}'
    page = records_of("twilio_call", good, row, good)
    assert [body_of(one.value) for one in page.rows] == [good, good]
    (letter,) = page.dead_letters
    assert (letter.key, letter.source, letter.reason, body_of(letter.value)) == (
        None,
        "twilio_call",
        reason,
        row,
    )
    headers = dict(letter.headers)
    error = headers.pop("error")
    assert b"CA1" not in error
    assert headers == {
        "reason": reason.encode(),
        "stage": b"poll",
        "source_topic": PATHS["twilio_call"].encode(),
        "source_partition": b"-1",
        "source_offset": b"-1",
    }


def test_the_largest_row_is_written_and_one_byte_more_is_not() -> None:
    def row(size: int) -> bytes:
        return b'{"sid":"CA1","x":"%s"}' % (b"y" * size)

    room = VALUE_LIMIT_BYTES - len(records_of("twilio_call", row(0)).rows[0].value)
    assert len(records_of("twilio_call", row(room)).rows[0].value) == VALUE_LIMIT_BYTES
    (letter,) = records_of("twilio_call", row(room + 1)).dead_letters
    assert (letter.reason, body_of(letter.value)) == ("too_large", row(room + 1))
    assert "truncated" not in dict(letter.headers)


def test_the_mark_of_a_dead_letter_depends_on_its_bytes_alone() -> None:
    rows = [b'{"sid":1}', b'{"sid":2}']
    first, second = (
        [
            letter.mark
            for letter in new_builder("twilio_call").page(rows, total=None, received_us=us).dead_letters
        ]
        for us in (1, 2)
    )
    assert first == second
    assert len(set(first)) == 2


def test_a_huge_row_becomes_a_truncated_dead_letter() -> None:
    row = b'{"sid":"CA1","x":"%s"}' % (b"y" * (10 << 20))
    (letter,) = records_of("twilio_call", row).dead_letters
    assert len(letter.value) == LETTER_LIMIT_BYTES
    length = int(dict(letter.headers)["truncated"])
    assert len(row) < length < len(row) + 1000
    assert len(letter.value) + sum(len(name) + len(text) for name, text in letter.headers) < 2 << 20


def test_a_broken_page_becomes_a_dead_letter_unchanged() -> None:
    page = new_builder("twilio_call").broken_page(b"<html>", "not_json", "not JSON, or truncated (byte 0)")
    assert page == PageRecords(
        [],
        [
            DeadLetter(
                None,
                b"<html>",
                [
                    ("reason", b"not_json"),
                    ("stage", b"poll"),
                    ("error", b"not JSON, or truncated (byte 0)"),
                    ("source_topic", PATHS["twilio_call"].encode()),
                    ("source_partition", b"-1"),
                    ("source_offset", b"-1"),
                ],
                "twilio_call",
                "not_json",
                page.dead_letters[0].mark,
            )
        ],
    )


def test_a_bug_in_a_decoder_costs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = DECODERS["twilio_call"]

    def faulty(envelope: Envelope) -> Any:
        if envelope.body["sid"] == "CA2":
            raise ZeroDivisionError("CA2 is in the text")
        return decode(envelope)

    monkeypatch.setitem(DECODERS, "twilio_call", faulty)
    page = records_of("twilio_call", b'{"sid":"CA1"}', b'{"sid":"CA2"}', b'{"sid":"CA3"}')
    assert [one.key for one in page.rows] == [b"twilio:CA1", b"twilio:CA3"]
    assert [(one.reason, dict(one.headers)["error"]) for one in page.dead_letters] == [
        ("internal_error", b"ZeroDivisionError")
    ]


def content(*rows: bytes) -> str:
    builder = new_builder("twilio_call_event")
    builder.page(rows, total=None, received_us=RECEIVED_US)
    return builder.content


def test_the_content_of_a_read_is_that_of_its_rows_in_whatever_order() -> None:
    assert len(content()) == 16
    assert content(EVENT, OTHER) == content(OTHER, SAME_EVENT)
    different = [
        content(*rows) for rows in ((), (EVENT,), (EVENT, EVENT), (EVENT, OTHER), (OTHER, OTHER), (b"12",))
    ]
    assert len(set(different)) == len(different)


def test_the_content_does_not_depend_on_the_pages() -> None:
    builder = new_builder("twilio_call_event")
    for row in (EVENT, OTHER):
        builder.page([row], total=None, received_us=RECEIVED_US + 1)
    assert builder.content == content(EVENT, OTHER)


def test_the_mark_of_a_row_depends_on_its_bytes_and_ordinal_alone() -> None:
    first = records_of("twilio_call_event", EVENT, EVENT, SAME_EVENT).rows
    later = new_builder("twilio_call_event").page([EVENT], total=None, received_us=RECEIVED_US + 5).rows
    assert len({row.mark for row in first}) == 3
    assert later[0].mark == first[0].mark
    assert later[0].value != first[0].value
    other = RecordBuilder("twilio_call_event", replace(twilio(), id="AC2"), PATHS["twilio_call_event"])
    assert other.page([EVENT], total=None, received_us=RECEIVED_US).rows[0].mark != first[0].mark
