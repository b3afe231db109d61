"""What the lanes know of themselves, for whoever asks after the worker's health.

`Progress` holds facts and durations; `worker_live` and `worker_ready` are the verdicts on them.
"""

from __future__ import annotations

from typing import NamedTuple

from stream.engine.observer import Phase

_BROKER_SILENT_S = 10.0
_STALLED_S = 60.0
_STALLED_WITHOUT_BROKER_S = 600.0
_PHASE_S = 300.0


class Progress(NamedTuple):
    """A look at the worker. Durations are seconds; None where the thing never happened."""

    phase: Phase
    assigned: tuple[int, ...]
    """Partition numbers that are ours, at work or still recovering."""
    recovered: bool
    """Every assigned partition's state has been read, and its lane is at work."""
    parked: tuple[int, ...]
    """Lanes that another owner has fenced and that wait for the next assignment."""
    queued: int
    """Records that were fetched and not yet committed."""
    waiting_s: float
    """For how long the lane that is worst off has had records without a commit; 0 when there is nothing to
    do.
    """
    phase_s: float
    """Since when the worker is in this phase."""
    last_batch_s: float | None
    """How long ago a batch was committed."""
    broker_heard_s: float | None
    """How long ago the broker answered anything."""
    written_s: float | None
    """How long ago the broker took a record or a commit of the partition that is worst off.

    None where it has not yet.
    """
    errors_in_a_row: int
    """How often the batch that is worst off has failed."""
    waits: tuple[str, ...] = ()
    """What is waited for, as sentences."""


def worker_live(progress: Progress) -> tuple[bool, list[str]]:
    """Whether a worker makes progress or has nothing to do. If not, a restart may help.

    A stall while the broker is silent is the broker's: a restart would not help, so it may last longer.
    """
    reasons = []
    patience_s = _STALLED_S if _hears(progress) and _writes(progress) else _STALLED_WITHOUT_BROKER_S
    if progress.waiting_s > patience_s:
        reasons.append(f"a lane has had records for {progress.waiting_s:.0f} s and committed none")
    if progress.phase in {"starting", "rebalancing"} and progress.phase_s > _PHASE_S:
        reasons.append(f"{progress.phase} for {progress.phase_s:.0f} s")
    return not reasons, reasons


def worker_ready(progress: Progress) -> tuple[bool, list[str]]:
    """Whether a worker is recovered, has partitions, and could write and commit in the last 10 s.

    That a broker answers is not enough: below `min.insync.replicas` it does, and takes nothing.
    """
    reasons = []
    if progress.phase != "running":
        reasons.append(f"the worker is {progress.phase}")
    if not progress.assigned:
        reasons.append("no partition is assigned")
    elif not progress.recovered:
        reasons.append("the table is not recovered")
    if progress.parked:
        reasons.append(f"another worker has taken over partitions {', '.join(map(str, progress.parked))}")
    if progress.broker_heard_s is None:
        reasons.append("the broker has not answered yet")
    elif not _hears(progress):
        reasons.append(f"the broker has been silent for {progress.broker_heard_s:.0f} s")
    elif not _writes(progress):
        reasons.append(f"the broker has taken no record of a partition for {_silence_s(progress):.0f} s")
    if progress.waiting_s > _BROKER_SILENT_S:
        reasons.append(f"a lane has had records for {progress.waiting_s:.0f} s and committed none")
    reasons += progress.waits
    return not reasons, reasons


def _hears(progress: Progress) -> bool:
    return progress.broker_heard_s is not None and progress.broker_heard_s <= _BROKER_SILENT_S


def _writes(progress: Progress) -> bool:
    """Ticks are written every second while a worker runs, and before that nothing."""
    return progress.phase != "running" or _silence_s(progress) <= _BROKER_SILENT_S


def _silence_s(progress: Progress) -> float:
    written_s = progress.phase_s if progress.written_s is None else progress.written_s
    return min(written_s, progress.phase_s)
