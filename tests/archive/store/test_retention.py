"""What is older than the retention goes, and all that is younger stays."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from stream.archive.questions import AlertFilter, CallFilter
from stream.archive.reader import Archive
from stream.archive.rows import day_of
from stream.archive.store import retention
from stream.archive.store.retention import empty, oldest_day, retire
from stream.core.timestamps import iso8601
from tests.archive.kept import Keeper, Told, of_another, replayed, values


def of_day(number: int, trace: str) -> list[Told]:
    """What was written of a call, on another day of March, under another key."""
    moved = of_another(replayed(trace), number)
    return [
        (role, key, value and value.replace(b"2026-03-02T", b"2026-03-%02dT" % number))
        for role, key, value in moved
    ]


def days(archive: Archive) -> list[int]:
    return [int(one.started_at[8:10]) for one in archive.calls(CallFilter()).items]


@pytest.mark.parametrize("first_kept", [1, 3, 5, 9])
def test_whole_days_are_deleted(kept: tuple[Keeper, Archive], first_kept: int) -> None:
    keeper, archive = kept
    for number in (1, 2, 3, 4, 5):
        keeper.keep(of_day(number, "gap-expired"))
    before_us = iso8601(f"2026-03-{first_kept:02d}T00:00:00Z")
    assert before_us is not None
    deleted = 0
    while some := retire(keeper.writer.engine, day_of(before_us)):
        deleted += some
    left = [number for number in (5, 4, 3, 2, 1) if number >= first_kept]
    assert days(archive) == left
    assert len(archive.alerts(AlertFilter()).items) == len(left)
    assert bool(deleted) == (first_kept > 1)
    oldest = oldest_day(keeper.writer.engine)
    assert oldest == (day_of(before_us) if left else None)
    for call in archive.calls(CallFilter()).items:
        history = archive.call(call.key)
        assert history is not None
        assert len(history.events) == len(values(of_day(1, "gap-expired"), "events"))
        assert history.record is not None


def test_a_call_that_is_still_there_has_its_events(
    kept: tuple[Keeper, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 1)
    keeper, archive = kept
    for number in (1, 2, 3):
        keeper.keep(one for one in of_day(number, "gap-expired") if one[0] == "events")
    left = [len(days(archive))]
    while retire(keeper.writer.engine, 1 << 30):
        left.append(len(days(archive)))
        for call in archive.calls(CallFilter()).items:
            history = archive.call(call.key)
            assert history is not None
            assert history.events
    assert left[:4] == [3, 2, 1, 0]


def test_a_condition_stays_while_it_fires_and_its_last_revision_counts_then(
    kept: tuple[Keeper, Archive],
) -> None:
    keeper, archive = kept
    [alert, *_] = values(of_day(1, "gap-expired"), "alerts")
    condition = alert | {
        "call": None,
        "scope": {"type": "endpoint", "id": "twilio:endpoint:AC1:https://a.test"},
    }
    resolved = condition | {"state": "resolved", "revision": 9, "updated_at": "2026-03-05T10:00:00.000000Z"}
    keeper.keep([told(condition)])
    _retire(keeper, 9)
    assert archive.alerts(AlertFilter()).items == [condition]
    keeper.keep([told(resolved)])
    _retire(keeper, 5)
    assert archive.alerts(AlertFilter()).items == [resolved]
    _retire(keeper, 6)
    assert archive.alerts(AlertFilter()).items == []


def told(alert: dict[str, Any]) -> Told:
    return "alerts", alert["scope"]["id"].encode(), orjson.dumps(alert)


def _retire(keeper: Keeper, first_kept: int) -> None:
    before_us = iso8601(f"2026-03-{first_kept:02d}T00:00:00Z")
    assert before_us is not None
    while retire(keeper.writer.engine, day_of(before_us)):
        pass


def test_a_call_of_a_deleted_day_may_come_again(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep(of_day(1, "amd"))
    while retire(keeper.writer.engine, 1 << 20):
        pass
    assert days(archive) == []
    keeper.keep(of_day(1, "amd"))
    assert days(archive) == [1]


def test_an_emptied_archive_forgets_all_but_what_was_forgotten(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep(of_day(1, "gap-expired"))
    empty(keeper.writer.engine)
    assert days(archive) == []
    assert keeper.writer.begin([("calls.events.v1", 0)]) == {("calls.events.v1", 0): 0}
