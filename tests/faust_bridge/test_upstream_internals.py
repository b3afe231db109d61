"""The internals of Faust and aiokafka that callstream pins are those that the fault runs were made with."""

from __future__ import annotations

import pytest

from stream.faust_bridge.upstream_internals import RELIED_ON, REPLACED, PinnedInternal, digest


@pytest.mark.parametrize("pinned", REPLACED + RELIED_ON, ids=lambda pinned: pinned.place)
def test_a_pinned_internal_is_as_it_was_when_the_fault_runs_passed(pinned: PinnedInternal) -> None:
    now = digest(pinned.place)
    assert now == pinned.digest, (
        f"{pinned.place} has changed. The reason it is pinned: {pinned.why}. "
        f"Read the change, run `make e2e`, then write {now!r} into stream/faust_bridge/upstream_internals.py."
    )
