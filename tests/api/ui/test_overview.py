"""The overview says what the archive has of the last hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stream.api.ui.overview import overview, source_reports
from stream.archive.reader import Archive
from tests.api.clients import ACCOUNT_A
from tests.api.ui.stored_calls import TRACES, stored
from tests.archive.kept import an_archive
from tests.archive.test_reader import a_record

NOW = datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder: Path = tmp_path_factory.mktemp("archive")
    with stored(folder, NOW, times=2) as found:
        yield found


def test_all_calls_of_the_hour_are_counted_by_outcome(archive: Archive) -> None:
    said = overview(archive, None, NOW)
    assert said["total"] == 2 * len(TRACES) + 1
    assert said["totals"] == {"answered": 14, "busy": 3, "canceled": 2, "failed": 4}
    assert (said["failed"], said["running"], said["ended"], said["asr"]) == (4, 0, 23, "60.9 %")
    assert Counter(fault for fault, calls in said["failures"] for _ in calls) == {
        "spam_block": 2,
        "network": 2,
    }


@pytest.mark.parametrize(("minute", "total"), [(59, 1), (60, 0)])
def test_the_minutes_that_are_counted_are_those_of_the_chart(tmp_path: Path, minute: int, total: int) -> None:
    began = datetime(2026, 3, 2, 10, 0, 5, tzinfo=UTC)
    with an_archive(tmp_path) as (keeper, archive):
        keeper.keep([a_record(5)])
        said = overview(archive, None, began.replace(second=3) + timedelta(minutes=minute))
    assert said["total"] == sum(said["totals"].values()) == total


def test_what_holds_now_is_told_and_whose_endpoint_it_is(archive: Archive) -> None:
    said = overview(archive, None, NOW)
    assert [one["rule"]["id"] for one in said["conditions"]] == ["webhook.failing"]
    assert [one["webhook"]["endpoint"] for one in said["endpoints"]] == ["https://app.example.test/answer"]


def test_another_account_sees_nothing_of_it(archive: Archive) -> None:
    said = overview(archive, frozenset({"AC-other"}), NOW)
    assert (said["total"], said["conditions"], said["failures"], said["sources"]) == (0, [], [], [])
    assert said["asr"] == "unknown"
    mine = overview(archive, frozenset({ACCOUNT_A}), NOW)
    assert mine["total"] == 20  # Telnyx' calls are of no account


def test_a_source_is_judged_by_the_calls_that_expect_it() -> None:
    def record(expected: list[str], seen: list[str], at: str) -> dict[str, object]:
        return {
            "completeness": {"expected": expected, "seen": seen, "complete": []},
            "arrival": {"last_received_at": at},
        }

    reports = source_reports(
        [
            record(
                ["twilio_status_callback", "twilio_call"], ["twilio_status_callback"], "2026-03-02T10:00:00Z"
            ),
            record(["twilio_status_callback"], ["twilio_status_callback"], "2026-03-02T11:00:00Z"),
        ]
    )
    assert [(one.name, one.seen, one.awaited, one.newest) for one in reports] == [
        ("twilio_call", 0, 1, None),
        ("twilio_status_callback", 2, 0, "2026-03-02T11:00:00Z"),
    ]
