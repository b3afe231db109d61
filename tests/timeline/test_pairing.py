"""Which event an item of the record's timeline is."""

from __future__ import annotations

from typing import Any

import pytest

from stream.timeline.pairing import pairs


def told(**changes: Any) -> dict[str, Any]:
    return {
        "family": "progress",
        "name": "completed",
        "status": "completed",
        "sequence_number": 3,
        "occurred_at": "2026-03-02T10:00:55.000000Z",
        "level": None,
        "edge": None,
    } | changes


@pytest.mark.parametrize(
    ("item", "event", "same"),
    [
        (told(), told(), True),
        (told(occurred_at="2026-03-02T10:00:54.000000Z"), told(), True),
        (told(status="failed"), told(), True),
        (told(sequence_number=None, status="no-answer"), told(sequence_number=None), True),
        (told(family="resource", name="call"), told(), False),
        (told(sequence_number=2), told(), False),
        (
            told(family="insights", sequence_number=None, occurred_at=None),
            told(family="insights", sequence_number=None),
            False,
        ),
    ],
    ids=[
        "equal",
        "another-source-gave-an-earlier-time",
        "a-status-counts-more",
        "no-number",
        "another-family",
        "another-number",
        "a-log-at-another-time",
    ],
)
def test_an_item_and_an_event(item: dict[str, Any], event: dict[str, Any], same: bool) -> None:
    assert list(pairs([item], [event])) == ([(item, event)] if same else [(item, None), (None, event)])


def test_two_callbacks_with_one_number_are_told_apart_by_their_status() -> None:
    busy, failed = told(status="busy", occurred_at=None), told(status="failed", occurred_at=None)
    earlier = [told(status=status) for status in ("failed", "busy")]
    assert list(pairs([busy, failed], earlier)) == [(busy, earlier[1]), (failed, earlier[0])]


def test_equal_twins_are_paired_one_by_one() -> None:
    twins = [told(family="request_log"), told(family="request_log")]
    events = [{**one, "id": str(number)} for number, one in enumerate([*twins, twins[0]])]
    assert list(pairs(twins, events)) == [(twins[0], events[0]), (twins[1], events[1]), (None, events[2])]
