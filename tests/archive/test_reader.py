"""What the archive answers about calls, from what a worker writes about them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import orjson
import pytest

from stream.archive import database
from stream.archive.questions import AlertFilter, ArchiveError, BadCursorError, CallFilter, StoredCall
from stream.archive.reader import Archive, open_archive
from stream.core.privacy.masking import Privacy
from tests.archive.kept import Keeper, an_archive, replayed, values

TRACES = ("amd", "busy", "child-legs", "gap-expired", "spam-block", "texml-and-leg")


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_all_that_was_written_of_a_call_is_told(kept: tuple[Keeper, Archive], trace: str, size: int) -> None:
    keeper, archive = kept
    written = replayed(trace)
    for start in range(0, len(written), size):
        keeper.keep(written[start : start + size])
    latest = {one["key"]: one for one in values(written, "ended")}
    episodes = {one["episode_id"]: one for one in values(written, "alerts")}
    told_of = {one["key"] for one in values(written, "events")}
    assert {one.key for one in archive.calls(CallFilter()).items} == told_of
    for key in told_of:
        history = archive.call(key)
        assert history is not None
        assert history.record == latest.get(key)
        sent = [one for one in values(written, "events") if one["key"] == key]
        assert sorted(history.events, key=lambda one: one["id"]) == sorted(sent, key=lambda one: one["id"])
        about = [one for one in episodes.values() if one["scope"]["id"] == key]
        assert [one["id"] for one in history.alerts if one["scope"]["type"] == "call"] == [
            one["id"] for one in sorted(about, key=lambda one: str(one["starts_at"]))
        ]
    assert {one["id"] for one in archive.alerts(AlertFilter()).items} == {
        one["id"] for one in episodes.values()
    }


def test_events_come_in_the_order_of_the_timeline(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep(reversed(replayed("amd")))
    [call] = archive.calls(CallFilter()).items
    history = archive.call(call.key)
    assert history is not None
    assert [(one["family"], one["name"]) for one in history.events] == [
        ("progress", "initiated"),
        ("progress", "ringing"),
        ("progress", "answered"),
        ("amd", "amd"),
        ("progress", "completed"),
        ("resource", "call"),
    ]


def test_a_call_that_has_not_ended_is_told_by_its_events(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    written = replayed("amd")
    keeper.keep([one for one in written if one[0] == "events"][:3])
    [call] = archive.calls(CallFilter()).items
    assert msgspec.to_builtins(call) == {
        "key": "twilio:CA00000000000000000000000000000001",
        "provider": "twilio",
        "account": "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
        "account_alias": "default",
        "call_id": "CA00000000000000000000000000000001",
        "parent_call_id": None,
        "session_id": None,
        "direction": "outbound",
        "from": "+15*******06",
        "to": "+15*******09",
        "status": "in-progress",
        "outcome": None,
        "fault": None,
        "confidence": None,
        "sip_response_code": None,
        "error_codes": [],
        "started_at": "2026-03-02T10:00:00.000000Z",
        "ended_at": None,
        "duration_s": None,
        "complete": None,
        "settled": False,
        "revision": 0,
        "updated_at": "2026-03-02T10:00:06.400000Z",
        "record": None,
    }
    history = archive.call(call.key)
    assert history is not None
    assert (history.record, len(history.events)) == (None, 3)


def test_the_latest_revision_of_a_record_counts_in_any_order(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    written = replayed("recording-after-end")
    for one in reversed(written):
        keeper.keep([one])
    [latest] = {one["key"]: one for one in values(written, "ended")}.values()
    [call] = archive.calls(CallFilter(), with_records=True).items
    assert (call.revision, call.record) == (latest["revision"], latest)


def test_an_address_of_any_length_is_kept_and_a_list_has_its_beginning(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    [event, *_] = values(replayed("amd"), "events")
    host = b64encode(Random(1).randbytes(9000)).decode()
    event["attributes"]["From"] = f"sip:a**@{host}"
    keeper.keep([("events", event["key"].encode(), orjson.dumps(event))])
    history = archive.call(event["key"])
    assert history is not None
    assert history.events == [event]
    assert history.call.from_ == f"sip:a**@{host}"[:255]


def number_of(call: StoredCall) -> int:
    """The number of the call of `a_record`."""
    return int(call.key.rpartition("CA")[2], 16)


def a_record(number: int, **changed: Any) -> tuple[str, bytes, bytes]:
    """The record of a call that began `number` seconds after ten."""
    [told] = values(replayed("amd"), "ended")[-1:]
    key = f"twilio:CA{number:032x}"
    at = f"2026-03-02T10:00:{number % 60:02d}.000000Z"
    record = told | {
        "key": key,
        "call_id": key[7:],
        "initiated_at": at,
        "ringing_at": None,
        "answered_at": None,
    }
    record |= changed
    return "ended", key.encode(), orjson.dumps(record)


SINCE = datetime(2026, 3, 2, 10, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CallFilter(), [5, 4, 3, 2, 1]),
        (CallFilter(accounts=frozenset({"AC1"})), [1]),
        (CallFilter(accounts=frozenset()), []),
        (CallFilter(provider="telnyx"), []),
        (CallFilter(since=SINCE), [5, 4, 3, 2]),
        (CallFilter(until=SINCE), [1]),
        (CallFilter(since=SINCE, until=SINCE + timedelta(seconds=2)), [3, 2]),
        (CallFilter(status=("busy",)), [2]),
        (CallFilter(status=("busy", "completed")), [5, 4, 3, 2, 1]),
        (CallFilter(outcome=("busy", "failed")), [2]),
        (CallFilter(fault=("carrier",)), [3]),
        (CallFilter(direction="inbound"), [4]),
        (CallFilter(number="+442071838750"), [5]),
        (CallFilter(number="+44********50"), [5]),
        (CallFilter(sip_response_code=486), [2]),
        (CallFilter(error_code="32009"), [3]),
        (CallFilter(min_duration_s=50), [5, 4]),
        (CallFilter(max_duration_s=50), [5, 3, 1]),
        (CallFilter(complete=True), [1]),
        (CallFilter(complete=False, since=SINCE, until=SINCE + timedelta(seconds=1)), [2]),
    ],
)
def test_calls_are_filtered(kept: tuple[Keeper, Archive], wanted: CallFilter, found: list[int]) -> None:
    keeper, archive = kept
    missing = {"completeness": {"expected": ["twilio_call", "twilio_call_summary"], "seen": ["twilio_call"]}}
    told = {"completeness": {"expected": ["twilio_call"], "seen": ["twilio_call"]}}
    verdict = {"fault": "carrier", "confidence": "high", "reason": "", "evidence": []}
    keeper.keep(
        [
            a_record(1, account="AC1", gaps=[], duration_s=5, **told),
            a_record(2, status="busy", outcome="busy", sip_response_code=486, duration_s=None, **missing),
            a_record(3, verdict=verdict, error_codes=["31005", "32009"], duration_s=0, **missing),
            a_record(4, direction="inbound", duration_s=51.5, **missing),
            a_record(5, to="+44********50", duration_s=50, **missing),
        ]
    )
    assert [number_of(one) for one in archive.calls(wanted).items] == found


def test_pages_are_stable_while_calls_are_written(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep([a_record(number) for number in range(10, 40, 2)])
    seen, after = [], None
    for new in range(11, 40, 2):
        page = archive.calls(CallFilter(), 4, after)
        seen += [number_of(one) for one in page.items]
        after = page.next
        if after is None:
            break
        # Calls before and behind the place where the reader is.
        keeper.keep([a_record(50 - new), a_record(new)])
    assert after is None
    assert seen == sorted(set(seen), reverse=True)
    assert set(range(10, 40, 2)) <= set(seen)


@pytest.mark.parametrize("after", ["", "x", "WzFd", "W10", "bnVsbA", "Ww" * 400, "WyJhIiwiYiJd", "é"])
def test_a_cursor_that_the_archive_has_not_given_is_refused(kept: tuple[Keeper, Archive], after: str) -> None:
    with pytest.raises(BadCursorError):
        kept[1].calls(CallFilter(), after=after)
    with pytest.raises(BadCursorError):
        kept[1].alerts(AlertFilter(), after=after)


def test_a_call_is_found_by_any_part_of_its_id(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep([a_record(0xA1, ended_at=None), a_record(0xA2, account="AC2"), a_record(0xB1)])
    keys = {number: f"twilio:CA{number:032x}" for number in (0xA1, 0xA2, 0xB1)}
    assert archive.find("b1") == [keys[0xB1]]
    assert archive.find(keys[0xA1]) == [keys[0xA1]]
    assert archive.find(keys[0xA1][7:]) == [keys[0xA1]]
    assert archive.find("00A") == [keys[0xA2], keys[0xA1]]
    assert archive.find("00a", frozenset({"AC2"})) == [keys[0xA2]]
    assert archive.find("00a", limit=1) == [keys[0xA2]]
    assert archive.find("%") == archive.find("_") == archive.find("") == []


def test_nothing_of_another_account_is_told(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    written = replayed("gap-expired")
    keeper.keep(written)
    [call] = archive.calls(CallFilter()).items
    assert archive.alerts(AlertFilter()).items
    for other in (frozenset({"AC2"}), frozenset[str]()):
        assert archive.call(call.key, other) is None
        assert archive.events(call.key, other) is None
        assert archive.find(call.key, other) == []
        assert archive.calls(CallFilter(accounts=other)).items == []
        assert archive.alerts(AlertFilter(accounts=other)).items == []
        assert archive.calls_by_minute(CallFilter(accounts=other, until=SINCE)) == []
    assert call.account is not None
    assert archive.call(call.key, frozenset({call.account})) is not None


def test_events_come_in_pages(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep(replayed("webhook-fails-with-fallback"))
    key = archive.calls(CallFilter()).items[0].key
    history = archive.call(key)
    assert history is not None
    found, after = [], None
    while True:
        page = archive.events(key, limit=2, after=after)
        assert page is not None
        found += page.items
        if (after := page.next) is None:
            break
    assert len(found) > 4
    assert found == history.events


def test_an_event_of_no_call_is_kept_apart(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    [event, *_] = values(replayed("amd"), "events")
    key = "twilio:conference:CF1"
    events = [event | {"key": key, "call_id": None, "id": f"{number:032d}"} for number in (2, 1)]
    keeper.keep(("events", key.encode(), orjson.dumps(one)) for one in [*events, *events])
    assert archive.calls(CallFilter()).items == []
    page = archive.events(key)
    assert page is not None
    assert page.items == [events[1], events[0]]
    assert archive.events(key, frozenset({"AC2"})) is None


def test_calls_are_counted_by_minute_and_outcome(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    ringing = [one for one in replayed("amd") if one[0] == "events"][:2]
    later = "2026-03-02T10:01:05.000000Z"
    keeper.keep(
        [
            *ringing,
            a_record(2),
            a_record(3),
            a_record(4, outcome="busy"),
            a_record(5, initiated_at=later, ended_at=later),
        ]
    )
    counts = archive.calls_by_minute(CallFilter(until=SINCE + timedelta(hours=1)))
    assert [(one.minute, one.outcome, one.count) for one in counts] == [
        ("2026-03-02T10:00:00.000000Z", None, 1),
        ("2026-03-02T10:00:00.000000Z", "answered", 2),
        ("2026-03-02T10:00:00.000000Z", "busy", 1),
        ("2026-03-02T10:01:00.000000Z", "answered", 1),
    ]


def test_an_archive_that_was_never_written_says_so(tmp_path: Path) -> None:
    archive = open_archive(f"sqlite:///{tmp_path / 'none.sqlite'}")
    with pytest.raises(ArchiveError, match="does not answer: it has no file yet"):
        archive.calls(CallFilter())
    archive.close()
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_many_calls_is_found_at_either_end(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    ours = "+1555*****00"
    keeper.keep(
        [
            a_record(number, **{"from": ours if number % 2 else "+1", "to": "+2" if number % 3 else ours})
            for number in range(1, 30)
        ]
    )
    found, after = [], None
    while True:
        page = archive.calls(CallFilter(number=ours), 4, after)
        found += [number_of(one) for one in page.items]
        if (after := page.next) is None:
            break
    assert found == [number for number in range(29, 0, -1) if number % 2 or number % 3 == 0]


def test_a_hashed_number_is_found_by_the_key(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    hashed = Privacy("hashed", "a key").address("+15551234567")
    keeper.keep([a_record(1, to=hashed, to_hash=None), a_record(2)])
    with_key = open_archive(keeper.url, "a key")
    assert [number_of(one) for one in with_key.calls(CallFilter(number="+15551234567")).items] == [1]
    assert archive.calls(CallFilter(number="+15551234567")).items == []
    with_key.close()


def test_a_query_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "QUERY_S", -1)
    monkeypatch.setattr(database, "STEPS", 10)
    with an_archive(tmp_path) as (keeper, archive):
        keeper.keep([a_record(number) for number in range(50)])
        with pytest.raises(ArchiveError, match="does not answer"):
            archive.find("zzz")
