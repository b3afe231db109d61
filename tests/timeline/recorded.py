"""The records of the calls of `tests/replay/traces`, as a worker writes them."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from stream.timeline.call_timeline import CallTimeline, TimelineRow
from stream.timeline.timeline_of import timeline_of
from tests.agents.batches import TOPICS, Lane, Written, to
from tests.agents.test_forget import a_request
from tests.replay.replaying import read_trace, written_by

Said = dict[str, Any]


class RecordedCall(NamedTuple):
    """What the archive has of a call."""

    record: Said | None
    events: list[Said]
    alerts: list[Said]

    @property
    def timeline(self) -> CallTimeline:
        return timeline_of(*self)


@cache
def recorded_calls(trace: str) -> dict[str, RecordedCall]:
    """The calls of a trace by key."""
    written = written_by(read_trace(trace))
    events, alerts, records = (
        [one.json for one in to(topic, written) if one.output.value]
        for topic in (TOPICS.events, TOPICS.alerts, TOPICS.ended)
    )
    keys = dict.fromkeys(one["key"] for one in events)
    latest = {one["episode_id"]: one for one in alerts}.values()
    return {
        key: RecordedCall(
            next((one for one in reversed(records) if one["key"] == key), None),
            [one for one in events if one["key"] == key],
            [one for one in latest if one["scope"]["id"] == key],
        )
        for key in keys
    }


def recorded(trace: str) -> RecordedCall:
    """The first call of a trace."""
    return next(iter(recorded_calls(trace).values()))


def forgotten() -> list[Written]:
    """What a worker writes when a call is forgotten of which it keeps nothing."""
    return Lane().run([a_request(60, 100)])


def lines_of(rows: list[TimelineRow]) -> list[str]:
    """The rows as one reads them: offset, who told whom, how it arrived, who saw it, and what it is."""
    return [
        " ".join(
            (
                "?" if row.offset_s is None else f"{row.offset_s:g}",
                f"{row.sender}>{row.receiver}",
                row.arrival,
                ",".join(row.seen_by) or "-",
                row.text,
            )
        )
        for row in rows
    ]
