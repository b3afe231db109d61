"""The records of the polling topic, and which of two is further."""

from __future__ import annotations

import itertools

import msgspec
import orjson
import pytest

from stream.core.timestamps import utc
from stream.poller.schedule.progress import (
    BackfillJob,
    UnreadableError,
    Watermark,
    decode,
    encode,
    furthest,
    new_job,
)

HOUR_US = 3_600_000_000
NOON_US = 1_772_452_800_000_000
"""2026-03-02T12:00:00Z"""


def watermark(us: int, read_at_us: int = NOON_US, by: str = "one") -> Watermark:
    return Watermark(source="twilio_call", account="AC1", watermark=utc(us), read_at=utc(read_at_us), by=by)


JOB = new_job("twilio_call", "AC1", NOON_US - HOUR_US, NOON_US, NOON_US)


def test_a_watermark_is_encoded_under_its_windows_key() -> None:
    record = watermark(NOON_US - 1, by="a-poller")
    assert (record.key, orjson.loads(encode(record))) == (
        "window:twilio_call:AC1",
        {
            "v": 1,
            "source": "twilio_call",
            "account": "AC1",
            "watermark": "2026-03-02T11:59:59.999999Z",
            "read_at": "2026-03-02T12:00:00.000000Z",
            "by": "a-poller",
        },
    )


def test_a_new_job_has_no_progress() -> None:
    assert (JOB.key, orjson.loads(encode(JOB))) == (
        f"backfill:{JOB.id}",
        {
            "v": 1,
            "id": JOB.id,
            "source": "twilio_call",
            "account": "AC1",
            "since": "2026-03-02T11:00:00.000000Z",
            "until": "2026-03-02T12:00:00.000000Z",
            "done_until": "2026-03-02T11:00:00.000000Z",
            "rows": 0,
            "unread": 0,
            "state": "waiting",
            "error": None,
            "failing_since": None,
            "asked": 1,
            "updated_at": "2026-03-02T12:00:00.000000Z",
        },
    )


def test_records_are_decoded_as_encoded_and_unknown_fields_ignored() -> None:
    for record in (watermark(NOON_US), JOB):
        assert decode(record.key.encode(), encode(record)) == record
        more = orjson.dumps({**orjson.loads(encode(record)), "colour": "blue"})
        assert decode(record.key.encode(), more) == record


def test_the_same_backfill_has_the_same_id() -> None:
    ranges = [("twilio_call", "AC1", 1, 2), ("twilio_call", "AC2", 1, 2), ("twilio_call", "AC1", 0, 2)]
    ranges += [("twilio_call", "AC1", 1, 3), ("twilio_call_event", "AC1", 1, 2)]
    assert len({new_job(*one, NOON_US).id for one in ranges}) == 5
    assert [new_job(*one, 7).id for one in ranges] == [new_job(*one, NOON_US).id for one in ranges]


def changed(job: BackfillJob, **fields: object) -> BackfillJob:
    return msgspec.structs.replace(job, **fields)


def test_a_watermark_never_moves_back() -> None:
    older, newer = watermark(NOON_US), watermark(NOON_US + 1, read_at_us=NOON_US - HOUR_US)
    assert furthest(older, newer) == furthest(newer, older) == newer


def test_of_two_equal_watermarks_the_newer_read_stays() -> None:
    older, newer = watermark(NOON_US), watermark(NOON_US, read_at_us=NOON_US + 1)
    assert furthest(older, newer) == furthest(newer, older) == newer


def test_the_progress_of_a_job_never_moves_back() -> None:
    """Each is further than those before it, in whatever order they come: a late poller undoes nothing."""
    half = utc(NOON_US - HOUR_US // 2)
    story = [
        JOB,
        changed(JOB, state="running"),
        changed(JOB, state="running", updated_at=utc(NOON_US + 1)),
        changed(JOB, state="running", done_until=half),
        changed(JOB, state="failed", error="it broke"),
        changed(JOB, state="cancelled"),
        changed(JOB, state="done", done_until=JOB.until),
        changed(JOB, asked=2, done_until=half),
        changed(JOB, asked=3),
    ]
    for (at, one), (other_at, other) in itertools.permutations(enumerate(story), 2):
        assert furthest(one, other) == story[max(at, other_at)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, encode(JOB)),
        (b"else:1", encode(JOB)),
        (b"backfill:other", encode(JOB)),
        (watermark(0).key.encode(), encode(JOB)),
        (JOB.key.encode(), b"{}"),
        (JOB.key.encode(), b"\xff"),
        (JOB.key.encode(), b"[" * 100_000),
        (JOB.key.encode(), encode(JOB).replace(b'"v":1', b'"v":2')),
        (JOB.key.encode(), encode(JOB).replace(b"waiting", b"dancing")),
        (JOB.key.encode(), encode(JOB).replace(b'"2026-', b'"noon-')),
        (watermark(0).key.encode(), encode(watermark(0)).replace(b"1970-", b"70-")),
    ],
)
def test_an_unreadable_record_is_an_error_that_does_not_repeat_it(key: bytes | None, value: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        decode(key, value)
    assert "AC1" not in str(caught.value)
    assert JOB.id not in str(caught.value)
