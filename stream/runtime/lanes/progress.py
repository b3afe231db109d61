"""What the lanes know of themselves, for whoever asks after the worker's health.

The rule of this file: facts and durations, no verdicts.
"""

from __future__ import annotations

from typing import NamedTuple

from stream.runtime.lanes.observer import Phase


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
