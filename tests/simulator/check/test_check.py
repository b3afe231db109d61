"""When a check stops waiting. That it reads what a broker has: see test_kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

import orjson
import pytest

from stream.kafka.client.connection import Connection
from stream.simulator.calls.options import Options
from stream.simulator.check.check import CheckOptions, IdleTimeout, check
from stream.simulator.check.report import CheckReport
from stream.simulator.run import output_topics
from stream.simulator.traffic import Traffic
from tests.simulator.fake_reader import FakeReader, FoundRecord
from tests.simulator.outputs import Outputs, headers_of, outputs_of

TOPICS = output_topics("calls.")


def waits(*moments: tuple[float, bool, bool, float]) -> list[bool]:
    """Whether it is over at each (time, something came, all is there, seconds owed)."""
    patience = IdleTimeout(0.0, quiet_s=2.0, timeout_s=60.0)
    return [patience.is_over(at, came=c, complete=d, owed_s=owed) for at, c, d, owed in moments]


def test_what_is_missing_is_missing_when_nothing_came_for_long() -> None:
    assert waits((30, True, False, 0), (89, False, False, 0), (90, False, False, 0)) == [False, False, True]


def test_silence_does_not_count_before_all_is_there_to_be_read() -> None:
    assert waits((500, False, False, 1), (559, False, False, 0), (560, False, False, 0)) == [
        False,
        False,
        True,
    ]


def test_when_all_is_there_little_silence_is_enough_whatever_is_owed() -> None:
    assert waits((5, True, True, 900), (6.9, False, True, 900), (7, False, True, 900)) == [False, False, True]


def written(outputs: Outputs) -> list[FoundRecord]:
    """The records, each with its key and headers."""
    key_of = {TOPICS.alerts: lambda one: one["scope"]["id"]}
    return [
        FoundRecord(
            topic,
            key_of.get(topic, lambda one: one["key"])(one).encode(),
            orjson.dumps(one),
            headers=tuple(headers_of(one)),
        )
        for topic, some in zip((TOPICS.events, TOPICS.ended, TOPICS.alerts), outputs, strict=True)
        for one in some
    ]


def checked(
    traffic: Traffic, records: Iterable[FoundRecord], monkeypatch: pytest.MonkeyPatch, **options: Any
) -> CheckReport:
    """The report of a check that reads these records. It must end within seconds."""
    assert traffic.expected is not None
    monkeypatch.setattr("stream.simulator.check.check.read_from", lambda *_, **__: FakeReader(records))
    checking = check(
        Connection("127.0.0.1:9"), TOPICS, traffic.expected, {}, CheckOptions(quiet_s=0.1, **options)
    )
    return asyncio.run(asyncio.wait_for(checking, 10))


@pytest.mark.parametrize("all_there", [True, False])
def test_what_others_write_for_ever_does_not_keep_it_waiting(
    monkeypatch: pytest.MonkeyPatch, all_there: bool
) -> None:
    traffic, other = Traffic(Options(calls=20, seed=3)), Traffic(Options(calls=5, seed=4))
    mine, of_another = written(outputs_of(traffic)), written(outputs_of(other))[0]
    records = chain(mine if all_there else mine[1:], repeat(of_another))
    report = checked(traffic, records, monkeypatch, timeout_s=0.3)
    assert report.differences == ({} if all_there else {"event_missing": 1})
    assert report.others > 0
