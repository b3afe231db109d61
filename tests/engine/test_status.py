"""What a worker says about itself: live, ready and why not, and what it waits for."""

from __future__ import annotations

import logging

import pytest

from stream.engine.status import LOG_AGAIN_S, Phase, Progress, Waits, worker_live, worker_ready

AT_WORK = Progress(
    phase=Phase.RUNNING,
    assigned=(0, 1, 2),
    recovered=True,
    suspended=(),
    queued=40,
    waiting_s=0.03,
    phase_s=900.0,
    last_batch_s=0.02,
    broker_heard_s=0.01,
    written_s=0.4,
    errors_in_a_row=0,
)


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, []),
        ({"queued": 0, "waiting_s": 0.0, "last_batch_s": 86_400.0}, []),
        ({"waiting_s": 61.0}, ["a lane has had records for 61 s and committed none"]),
        ({"waiting_s": 61.0, "broker_heard_s": 60.0}, []),
        (
            {"waiting_s": 601.0, "broker_heard_s": 600.0},
            ["a lane has had records for 601 s and committed none"],
        ),
        ({"waiting_s": 61.0, "written_s": 60.0}, []),
        ({"waiting_s": 601.0, "written_s": 600.0}, ["a lane has had records for 601 s and committed none"]),
        ({"phase": Phase.REBALANCING, "phase_s": 20.0}, []),
        ({"phase": Phase.REBALANCING, "phase_s": 301.0}, ["rebalancing for 301 s"]),
        ({"phase": Phase.STARTING, "phase_s": 301.0, "broker_heard_s": None}, ["starting for 301 s"]),
        ({"phase": Phase.RECOVERING, "phase_s": 3000.0}, []),
    ],
)
def test_a_worker_is_live_while_it_gets_on_or_has_nothing_to_do(
    changed: dict[str, object], reasons: list[str]
) -> None:
    assert worker_live(AT_WORK._replace(**changed)) == (not reasons, reasons)


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, []),
        (
            {"phase": Phase.RECOVERING, "recovered": False},
            ["the worker is recovering", "the table is not recovered"],
        ),
        ({"assigned": (), "recovered": False}, ["no partition is assigned"]),
        ({"suspended": (1, 2)}, ["another worker has taken over partitions 1, 2"]),
        (
            {"waits": ("partition 3: changelog is needed up to 9",)},
            ["partition 3: changelog is needed up to 9"],
        ),
        ({"broker_heard_s": 10.0}, []),
        ({"broker_heard_s": 12.4}, ["the broker has been silent for 12 s"]),
        # Below min.insync.replicas a broker answers and takes nothing.
        ({"written_s": 10.0}, []),
        ({"written_s": 12.4}, ["the broker has taken no record of a partition for 12 s"]),
        ({"written_s": None}, ["the broker has taken no record of a partition for 900 s"]),
        ({"written_s": None, "phase_s": 3.0}, []),  # the first tick is on its way
        ({"written_s": 40.0, "phase_s": 3.0}, []),
        ({"waiting_s": 10.0}, []),
        ({"waiting_s": 11.0}, ["a lane has had records for 11 s and committed none"]),
        (
            {"phase": Phase.STARTING, "assigned": (), "recovered": False, "broker_heard_s": None},
            ["the worker is starting", "no partition is assigned", "the broker has not answered yet"],
        ),
    ],
)
def test_a_worker_is_ready_when_it_is_recovered_and_assigned_and_the_broker_takes_what_it_writes(
    changed: dict[str, object], reasons: list[str]
) -> None:
    assert worker_ready(AT_WORK._replace(**changed)) == (not reasons, reasons)


def test_a_wait_is_logged_when_it_begins_and_every_half_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    waits = Waits(lambda: now)
    with caplog.at_level(logging.WARNING):
        for now in (0.0, 1.0, LOG_AGAIN_S - 1, LOG_AGAIN_S, LOG_AGAIN_S + 1):
            waits.begin("changelog", f"ends at {now:.0f}")
    assert [record.getMessage() for record in caplog.records] == ["ends at 0", "ends at 30"]
    assert waits.sentences() == ("ends at 31",)


def test_the_end_of_a_wait_is_logged_once_and_of_none_never(caplog: pytest.LogCaptureFixture) -> None:
    waits = Waits(lambda: 0.0)
    waits.begin("changelog", "ends at 0")
    with caplog.at_level(logging.WARNING):
        waits.over("changelog")
        waits.over("changelog")
        waits.over("another")
    assert [record.getMessage() for record in caplog.records] == ["ends at 0", "no longer: ends at 0"]
    assert waits.sentences() == ()


def test_waits_are_forgotten_with_their_assignment() -> None:
    waits = Waits(lambda: 0.0)
    waits.begin("changelog", "ends at 0")
    waits.forget()
    assert waits.sentences() == ()
