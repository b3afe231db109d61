"""What is read from the dead letters' topic, and which letters can never be applied."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import pytest

from stream.kafka.dead_letters import letter as letters
from stream.kafka.dead_letters.letter import StoredLetter, hopeless, note, read_letter
from stream.kafka.dead_letters.redrive import redriven_output
from stream.kafka.envelope_codec import dead_letter_headers
from stream.kafka.topics import names
from stream.kafka.transactional_producer import KEYED, Output
from tests.core.deliveries import ACCOUNT, TWILIO_KEY, callback

TOPICS = names("calls.")
KEY, GOOD = TWILIO_KEY.encode(), callback("completed", "3", 9).value
OTHERS = b"twilio:CA" + b"9" * 32


class Read(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    topic: str = TOPICS.dead_letters
    partition: int = 3
    offset: int = 17
    timestamp: int = 1_772_445_600_123


def letter(
    key: bytes | None = KEY,
    value: bytes | None = GOOD,
    *,
    reason: str = "internal_error",
    topic: str = TOPICS.callbacks,
    partition: int = 7,
    own: tuple[tuple[str, bytes], ...] = (),
) -> StoredLetter:
    headers = dead_letter_headers(reason, "fold", "KeyError", topic, partition, 41, own)
    read = read_letter(Read(key, value, tuple(headers)))
    assert isinstance(read, StoredLetter)
    return read


def test_a_letter_has_its_id_its_source_and_the_records_own_headers() -> None:
    one = letter(own=(("reason", b"mine"), ("x", b"1")))
    assert (one.id, one.at, one.source, one.own) == (
        "calls.dead-letters.v1:3:17",
        "2026-03-02T10:00:00.123000Z",
        "twilio_status_callback",
        [("reason", b"mine"), ("x", b"1")],
    )
    assert one.why == {
        "reason": "internal_error",
        "stage": "fold",
        "error": "KeyError",
        "source_topic": "calls.callbacks.v1",
        "source_partition": "7",
        "source_offset": "41",
    }
    assert letter(value=b"not json").source == letter(value=None).source == "unknown"


def test_a_note_says_which_letters_of_its_partition_were_written_back() -> None:
    some = [letter(), letter()._replace(offset=19)]
    assert read_letter(Read(None, None, tuple(note(some)))) == [17, 19]


def test_a_record_goes_back_as_it_was_and_says_where_from() -> None:
    came = (letters.REDRIVEN_FROM, b"calls.dead-letters.v1:3:17")
    assert redriven_output(letter(own=(("x", b"1"),))) == Output(KEY, GOOD, [("x", b"1"), came], 7)
    earlier = (letters.REDRIVEN_FROM, b"calls.dead-letters.v1:3:2")
    assert redriven_output(letter(own=(earlier,))).headers == [came]
    assert redriven_output(letter(partition=-1)).partition == KEYED


def body(**fields: Any) -> bytes:
    value: dict[str, Any] = orjson.loads(GOOD)
    return orjson.dumps({**value, **fields})


CANNOT: list[tuple[StoredLetter, str | None]] = [
    (letter(), None),
    (letter(topic=TOPICS.fetches, key=None, value=b"not json"), None),
    (letter(topic=TOPICS.alerts, value=b"{}", reason="undeliverable"), None),
    (letter(value=body(source="fetch_result", body={})), None),
    (letter(key=None), letters.NO_KEY),
    (letter(key=OTHERS), letters.OTHER_KEY),
    (
        letter(value=b"not json"),
        "this version cannot read it either (not_json: invalid literal, expected 'null')",
    ),
    (letter(value=None), "this version cannot read it either (not_an_object: the value is null)"),
    (
        letter(value=body(account="AC" + "9" * 32, delivery={"verified": True})),
        "this version cannot read it either "
        "(invalid_field: the body names another account than the one that signed it)",
    ),
    (letter(own=(("truncated", b"600000"),)), letters.CUT),
    (letter(topic=TOPICS.ticks), letters.NO_DELIVERY),
    (letter(topic="/v2/call_events"), letters.NO_TOPIC),
]


@pytest.mark.parametrize(("one", "why"), CANNOT)
def test_a_letter_that_the_worker_would_refuse_again_is_left_where_it_is(
    one: StoredLetter, why: str | None
) -> None:
    assert hopeless(one, TOPICS) == why


def test_the_delivery_of_this_test_is_signed_by_its_own_account() -> None:
    assert hopeless(letter(value=body(account=ACCOUNT, delivery={"verified": True})), TOPICS) is None


def test_an_error_of_our_own_is_told_and_stops_no_redrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a letter is what an `internal_error` of the decoder leaves."""

    def decode(envelope: object) -> None:
        raise KeyError("+15005550006")

    monkeypatch.setitem(letters.DECODERS, "twilio_status_callback", decode)  # type: ignore[arg-type]
    assert hopeless(letter(), TOPICS) == "this version cannot read it either (KeyError)"


@pytest.mark.parametrize("headers", [(("x", None),), (("redriven", None),), (("redriven", b"1,"),)])
def test_a_record_that_callstream_did_not_write_keeps_no_letter_from_being_read(
    headers: tuple[tuple[str, bytes | None], ...],
) -> None:
    """A header of Kafka may have no value."""
    foreign = read_letter(Read(None, None, headers))
    assert isinstance(foreign, StoredLetter)
    assert foreign.own == [*headers]
    assert [*foreign.own_texts] == [headers[0][0]]


def test_a_cause_may_have_no_value() -> None:
    foreign = read_letter(Read(None, None, (("reason", None), ("x", b"1"))))
    assert isinstance(foreign, StoredLetter)
    assert (foreign.why, foreign.own_texts) == ({"reason": ""}, {"x": "1"})
