"""Is the worker live, is it ready: from the facts that the lanes know of themselves to yes or no, with
reasons.

The rule of this file: every no names its reason, and no reason names a call.
"""

from __future__ import annotations

from stream.runtime.lanes import Phase, Progress

Verdict = tuple[bool, list[str]]

STUCK_S = 60.0
"""A lane that has had records for so long without a commit makes no progress."""

UNSETTLED_S = 300.0
"""A worker that neither runs nor stops for so long hangs in a start, a rebalance or a recovery."""

SILENCE_S = 10.0
"""A broker that has not answered for so long is not heard from."""


def live(progress: Progress) -> Verdict:
    """Live: it makes progress or has nothing to do."""
    reasons = []
    if progress.waiting_s > STUCK_S:
        reasons.append(f"a lane has records and has committed none for {progress.waiting_s:.0f} s")
    if progress.phase not in (Phase.RUNNING, Phase.STOPPING) and progress.phase_s > UNSETTLED_S:
        reasons.append(f"{progress.phase} for {progress.phase_s:.0f} s")
    return not reasons, reasons


def ready(progress: Progress) -> Verdict:
    """Ready: recovered, assigned, and the broker was heard from lately."""
    reasons = []
    if progress.phase is not Phase.RUNNING:
        reasons.append(f"the worker is {progress.phase}")
    if not progress.assigned:
        reasons.append("no partition is assigned")
    elif not progress.recovered:
        reasons.append("tables are not recovered yet")
    if progress.parked:
        reasons.append(f"{len(progress.parked)} lanes were taken over by another worker")
    if progress.broker_heard_s is None:
        reasons.append("the broker has not been heard from yet")
    elif progress.broker_heard_s > SILENCE_S:
        reasons.append(f"the broker has not been heard from for {progress.broker_heard_s:.0f} s")
    return not reasons, reasons
