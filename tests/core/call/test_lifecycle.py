"""A call's life cycle is derived where something depends on it, once for a delivery, and handed on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import stream
from stream.core.alerting.alert import Alert
from stream.core.call import fold, schedule, timers
from stream.core.call.lifecycle import Lifecycle, lifecycle_of
from stream.core.call.record import CallRecord
from stream.core.call.state import Call
from stream.core.call.timers import answered, tick
from stream.core.effects import CallEnded, CallEvicted, SequenceGapOpened
from stream.core.fetches import FetchRequest, result_of
from stream.core.policy import CallPolicy
from stream.core.sources import POLLED_SOURCES
from stream.core.timestamps import utc
from tests.core.deliveries import START_US, answered_call, callback, fetched, insight, logged, parameters
from tests.core.folding import tell

POLICY = CallPolicy(polled=POLLED_SOURCES)

Count = Callable[[], int]


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> Count:
    """Counts how often a life cycle was derived since the last check."""
    calls: list[Call] = []

    def counted(call: Call) -> Lifecycle:
        calls.append(call)
        return lifecycle_of(call)

    def taken() -> int:
        count = len(calls)
        calls.clear()
        return count

    for module in (fold, timers, schedule):
        monkeypatch.setattr(module, "lifecycle_of", counted)
    return taken


def test_only_the_fold_the_timers_and_the_schedule_derive_it() -> None:
    product = Path(stream.__path__[0]).parent
    users = {
        path.stem
        for top in ("stream", "agents")
        for path in (product / top).rglob("*.py")
        if "lifecycle_of(" in path.read_text()
    }
    assert users == {"lifecycle", "fold", "forgetting", "timers", "schedule"}


def test_a_terminal_callback_that_ends_plans_alerts_and_records_derives_it_once(derived: Count) -> None:
    told = tell([callback("initiated", "0", 0)], policy=POLICY)
    assert derived() == 0
    told = tell([callback("failed", "2", 9)], call=told.call, policy=POLICY)
    assert {CallEnded, FetchRequest, Alert, CallRecord} <= {type(effect) for effect in told.effects}
    assert derived() == 1


def test_an_alert_before_the_end_derives_it_once_and_usual_progress_never(derived: Count) -> None:
    told = tell(answered_call()[:3])
    assert derived() == 0
    told = tell([insight("error", level="ERROR")], call=told.call)
    assert len(told.alerts) == 1
    assert derived() == 1


def test_a_tick_that_opens_a_gap_and_settles_derives_it_once(derived: Count) -> None:
    call = tell([callback("initiated", "0", 0), callback("completed", "3", 55)], policy=POLICY).call
    call.fetches = []
    derived()
    ticked = tick(call, START_US + 8000 * 1_000_000, POLICY)
    assert {SequenceGapOpened, CallRecord, CallEvicted} <= {type(effect) for effect in ticked.effects}
    assert derived() == 1


def test_a_request_its_result_and_a_row_that_decides_nothing_do_not_derive_it(derived: Count) -> None:
    call = tell(answered_call(), policy=POLICY).call
    derived()
    now_us = START_US + 56 * 1_000_000
    answered(call, result_of(fetched(outcome="empty").envelope), now_us, utc(now_us), POLICY)
    requested = tick(call, START_US + 150 * 1_000_000, POLICY)
    assert [type(effect) for effect in requested.effects] == [FetchRequest]
    tell([insight("x"), logged(parameters("completed", "3", 55))], call=requested.call, policy=POLICY)
    assert derived() == 0
