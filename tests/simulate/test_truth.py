"""Truth and program meet: one comes from what took place, the other from what arrived."""

from __future__ import annotations

import pytest

from stream.simulate.options import ALL_SOURCES, CALLBACK_SOURCES, Options
from stream.simulate.traffic import generate
from tests.simulate.outputs import compared, outputs_of

FAULTS = {"duplicates": 0.15, "reorder": 0.15, "drop": 0.08, "late": 0.05, "failed": 0.15}


@pytest.mark.parametrize(
    "sources",
    [ALL_SOURCES, CALLBACK_SOURCES, *[(source,) for source in ALL_SOURCES]],
    ids=lambda sources: "+".join(sources) if len(sources) < 3 else "all",
)
def test_a_faultless_worker_meets_the_truth_whatever_the_network_does(sources: tuple[str, ...]) -> None:
    traffic = generate(
        Options(calls=150, seed=7, sources=frozenset(sources), start_us=1_760_000_000_000_000, **FAULTS)
    )
    outputs = outputs_of(traffic)
    assert traffic.truth is not None
    report = compared(traffic.truth, outputs)
    assert report.lines()[-1] == "No difference.", "\n".join(report.lines())
    assert report.events_expected > 80


def test_live_calls_that_are_cut_off_meet_the_truth_too() -> None:
    traffic = generate(
        Options(calls=None, seconds=45, rate=40, seed=3, start_us=1_760_000_000_000_000, **FAULTS)
    )
    outputs = outputs_of(traffic)
    assert traffic.truth is not None
    report = compared(traffic.truth, outputs)
    assert report.ok, "\n".join(report.lines())
    assert 0 < report.calls_ended < report.calls


def test_a_call_of_which_nothing_arrived_is_not_expected() -> None:
    options = Options(calls=50, drop=1.0, sources=frozenset(CALLBACK_SOURCES))
    traffic = generate(options)
    assert list(traffic) == []
    assert traffic.truth is not None
    assert list(traffic.truth.expected()) == []


def test_a_lost_end_that_no_row_tells_of_is_no_end() -> None:
    traffic = generate(Options(calls=400, drop=0.5, sources=frozenset(CALLBACK_SOURCES), seed=5))
    for _ in traffic:
        pass
    assert traffic.truth is not None
    expected = list(traffic.truth.expected())
    open_ended = [call for call in expected if call.status is None]
    assert 50 < len(open_ended) < len(expected)
    assert not any(alert.rule == "call.failed" for call in open_ended for alert in call.alerts)
