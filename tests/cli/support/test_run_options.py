"""From what the command line says to the options of a run."""

from __future__ import annotations

from typing import Any

import pytest

from stream.cli.support.run_options import run_options
from stream.service.settings import Settings
from stream.simulator.calls.options import OPTIONAL_SOURCES, Options
from stream.simulator.incidents import Rehearsal

REHEARSAL = Rehearsal(name="carrier-outage", after_s=30, for_s=100)


def options(rehearsed: Rehearsal | None = None, **asked: Any) -> Options:
    usual: dict[str, Any] = dict.fromkeys(
        ("calls", "seconds", "rate", "failed", "sources", "seed", "start", "time_factor")
    )
    return run_options(
        Settings(),
        **{**usual, "forever": False, "polled": True, "serve": False, **asked},
        rehearsed=rehearsed,
    )


def test_a_rehearsal_has_healthy_traffic_and_after_the_incident_as_much_of_it_as_the_incident_had() -> None:
    found = options(REHEARSAL)
    assert (found.failed, found.errors, found.longest_talk_s, found.planted) == (0.0, 0.0, 60, False)
    assert (found.live, found.seconds) == (True, 230)
    assert options(REHEARSAL, failed=0.3, forever=True).failed == 0.3
    assert options(REHEARSAL, forever=True).seconds is None


def test_without_a_rehearsal_some_calls_fail_and_some_are_long() -> None:
    found = options()
    assert (found.failed, found.errors, found.longest_talk_s) == (0.05, 0.02, 600)
    assert options(failed=0.0).failed == 0.0


@pytest.mark.parametrize("asked", [{"calls": 5}, {"start": "2026-03-02T10:00:00Z"}, {"polled": False}])
def test_a_rehearsal_is_of_live_calls(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="--incident needs live calls"):
        options(REHEARSAL, **asked)


@pytest.mark.parametrize("serve", [False, True])
def test_all_sources_are_the_usual_ones_and_those_that_are_sent_on_request(serve: bool) -> None:
    usual = options(serve=serve).sources
    assert options(serve=serve, sources="all").sources == usual | set(OPTIONAL_SOURCES)
    assert options(serve=serve, sources="twilio_call").sources == {"twilio_call"}
