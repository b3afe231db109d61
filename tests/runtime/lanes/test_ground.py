"""The ground has not moved: what we replace of Faust and aiokafka is what the fault runs were made with."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from stream.runtime.lanes.ground import RELIED_ON, REPLACED, VERSIONS, Leaning, digest


@pytest.mark.parametrize("leaning", REPLACED + RELIED_ON, ids=lambda leaning: leaning.place)
def test_what_the_lanes_lean_on_is_as_it_was_when_the_fault_runs_passed(leaning: Leaning) -> None:
    now = digest(leaning.place)
    assert now == leaning.digest, (
        f"{leaning.place} has changed. The lanes lean on it because: {leaning.why}. "
        f"Read the change, run `make e2e`, then write {now!r} into stream/runtime/lanes/ground.py."
    )


@pytest.mark.parametrize(("distribution", "known"), VERSIONS.items())
def test_the_version_is_the_one_that_the_fault_runs_were_made_with(distribution: str, known: str) -> None:
    installed = version(distribution)
    assert installed == known or installed.startswith(f"{known}."), (
        f"{distribution} is {installed}, the lanes were proven on {known}: "
        "run `make e2e`, then change VERSIONS in stream/runtime/lanes/ground.py."
    )
