"""The second step in the lanes: what batches tell about a scope, and its episode in the table."""

from __future__ import annotations

import msgspec

from agents.scopes import TOLD_PER_BATCH
from stream.core.alerting.scopes import Told
from stream.core.effects import Observed
from tests.agents.batches import TOPICS, Fetched, Lane, a_tick, to
from tests.core.deliveries import START_US

SCOPE = "twilio:endpoint:AC1:https://app.example.com/voice"


def told(second: int, offset: int, failed: int) -> Fetched:
    heard_us = START_US + second * 1_000_000
    said = Told(scope=SCOPE, heard_us=heard_us)
    for _ in range(failed):
        said.add(Observed(SCOPE, heard_us, heard_us, ("answers", "failing"), ("twilio:CA1", "answered 502")))
    return Fetched(TOPICS.scopes, offset, SCOPE.encode(), msgspec.json.encode(said))


def test_many_records_that_tell_of_scopes_are_several_batches() -> None:
    lane = Lane()
    lane.run([told(n, n, 1) for n in range(2 * TOLD_PER_BATCH + 3)])
    assert lane.taken == [TOLD_PER_BATCH, TOLD_PER_BATCH, 3]


def test_an_episode_ends_in_a_lane_that_another_one_left_and_its_scope_leaves_after_a_day() -> None:
    lane = Lane()
    (fired,) = to(TOPICS.alerts_active, lane.run([told(0, 0, 20)]))
    later = Lane(states=lane.states)
    some = later.run([a_tick(620, 1)])
    (over,) = to(TOPICS.alerts_active, some)
    assert (over.output.key, over.output.value) == (fired.output.key, None)
    assert [one.json["reason"]["code"] for one in to(TOPICS.alerts, some)] == ["quiet"]
    assert later.run([a_tick(90_000, 2)]) == []
    assert (later.states, later.due) == ({}, [])


def test_a_report_that_is_dated_long_after_it_was_written_is_counted_and_held_back() -> None:
    lane = Lane()
    ahead, now = told(864_000, 0, 1), told(0, 1, 20)
    for one in (ahead, now):
        one.timestamp = START_US // 1000
    (fired,) = to(TOPICS.alerts, lane.run([ahead, now]))
    assert fired.json["occurrences"] == 21
    assert lane.counted("scope_reports_ahead_total") == 1
