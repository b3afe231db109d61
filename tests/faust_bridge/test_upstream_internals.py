"""The ground has not moved: what we replace of Faust and aiokafka is what the fault runs were made with."""

from __future__ import annotations

import pytest

from stream.faust_bridge.upstream_internals import RELIED_ON, REPLACED, Leaning, digest


@pytest.mark.parametrize("leaning", REPLACED + RELIED_ON, ids=lambda leaning: leaning.place)
def test_what_the_lanes_lean_on_is_as_it_was_when_the_fault_runs_passed(leaning: Leaning) -> None:
    now = digest(leaning.place)
    assert now == leaning.digest, (
        f"{leaning.place} has changed. The lanes lean on it because: {leaning.why}. "
        f"Read the change, run `make e2e`, then write {now!r} into stream/faust_bridge/upstream_internals.py."
    )
