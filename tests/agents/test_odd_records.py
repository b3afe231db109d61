"""Odd values in a record are kept as sent, and the record is applied."""

from __future__ import annotations

import pytest

from tests.agents.batches import KEY, TOPICS, Lane, records, to
from tests.core.deliveries import callback, insight


@pytest.mark.parametrize("number", ["", "-1", "1e3", " 2", "٣", "9" * 20, "1" * 10, "0x1", "1.0"])
def test_an_odd_sequence_number_is_applied_without_one_and_kept_as_it_came(number: str) -> None:
    some = Lane().run(records([callback("ringing", number, 1)]))
    event = to(TOPICS.events, some)[0].json
    assert (event["sequence_number"], event["attributes"]["SequenceNumber"]) == (None, number)
    assert to(TOPICS.dead_letters, some) == []


@pytest.mark.parametrize("number", ["999999999", "000000007"])
def test_a_large_sequence_number_is_one_and_costs_no_memory(number: str) -> None:
    lane = Lane()
    some = lane.run(records([callback("ringing", number, 1)]))
    assert to(TOPICS.events, some)[0].json["sequence_number"] == int(number)
    assert len(lane.states[KEY]) < 500


@pytest.mark.parametrize("stamp", ["Mon, 32 Aug 2026 10:00:00 +0000", "... 10:0", "", "25:61", "2026-13-01"])
def test_a_broken_date_is_applied_without_a_time_and_kept_as_it_came(stamp: str) -> None:
    some = Lane().run(records([callback("ringing", "1", None, Timestamp=stamp)]))
    event = to(TOPICS.events, some)[0].json
    assert (event["occurred_at"], event["occurred_at_quality"]) == (None, "unknown")
    assert event["attributes"]["Timestamp"] == stamp


def test_unknown_statuses_names_and_fields_are_applied_and_passed_on() -> None:
    lane = Lane()
    some = lane.run(
        records(
            [callback("teleported", "1", 1, Colour="red"), insight("quantum-jitter", level="LOUD", edge=None)]
        )
    )
    assert to(TOPICS.dead_letters, some) == []
    progress, insights = (event.json for event in to(TOPICS.events, some))
    assert (progress["status"], progress["attributes"]["CallStatus"]) == (None, "teleported")
    assert progress["attributes"]["Colour"] == "red"
    assert (insights["name"], insights["level"], insights["edge"]) == ("quantum-jitter", None, None)
