"""What the worker says about itself: to metrics (`Observer`), to health checks (`Progress`), to operators
(`Waits`, and the line with which `end_process` ends).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import NamedTuple, NoReturn, Protocol

EX_IOERR = 1
"""The data directory takes no writes. A restart does not help; a person has to mend it."""

EX_SOFTWARE = 70
"""The same batch failed too often. A restart will most likely end here again."""

EX_TEMPFAIL = 75
"""Nothing is lost: a supervisor may restart the process."""

EX_CONFIG = 78
"""Topics or group do not fit this program."""

LOG_AGAIN_S = 30.0

_BROKER_SILENT_S = 10.0
_STALLED_S = 60.0
_STALLED_WITHOUT_BROKER_S = 600.0
_PHASE_S = 300.0

log = logging.getLogger("callstream.lanes")


def end_process(reason: str, code: int = EX_TEMPFAIL) -> NoReturn:
    """End the process now, with one line in the log.

    For a process that must not write any more: a graceful stop would send what is left in the producers'
    buffers. The next owner of the partitions aborts the open transactions.
    """
    log.critical("ending the process (exit code %d): %s", code, reason)
    for handler in logging.getLogger().handlers + log.handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Phase(StrEnum):
    """What the worker is doing."""

    STARTING = "starting"
    REBALANCING = "rebalancing"
    RECOVERING = "recovering"
    RUNNING = "running"
    STOPPING = "stopping"


class Observer(Protocol):
    """Counts for metrics. Each method is called on the event loop's thread, a few times for a batch and
    never for a record, and must not block. Durations are seconds.
    """

    def phase(self, phase: Phase) -> None:
        """The worker entered `phase`."""

    def rebalance_started(self) -> None:
        """Partitions are being revoked."""

    def rebalance_ended(self, seconds: float, partitions: int) -> None:
        """`partitions` lanes are running again, `seconds` after the rebalance started."""

    def recovery(self, remaining: int) -> None:
        """`remaining` changelog offsets are still to be read; 0 when done."""

    def recovered(self, partitions: int, records: int, seconds: float) -> None:
        """The changelogs of `partitions` partitions were read: `records` in `seconds`."""

    def consumed(self, topic: str, partition: int, records: int, newest_ms: int) -> None:
        """`records` of a source partition were fetched, the last of which was written at `newest_ms`."""

    def batch(self, partition: int, records: int, process_s: float, commit_s: float | None) -> None:
        """A batch was folded, and committed in `commit_s`; None where it came to nothing."""

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        """`records` were acknowledged by the broker (or refused) after `seconds`."""

    def lag(self, topic: str, partition: int, records: int) -> None:
        """What is committed of a source partition, or came to nothing, is `records` behind its end. Once a
        second.
        """

    def entries(self, partition: int, count: int) -> None:
        """The table has about `count` entries for `partition`. Once a second."""

    def error(self, kind: str) -> None:
        """Something failed and is being handled.

        One of `processor`, `aborted`, `refused`, `fenced`, `overtaken`, `expired`, `rewound`, `stale_broker`,
        `read_anew`, `tick`.
        """


class Waits:
    """What the worker waits for, as sentences: in the log, and in what `/readyz` answers.

    A wait is logged when it begins and every LOG_AGAIN_S while it lasts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sentences: dict[Hashable, str] = {}
        self._logged: dict[Hashable, float] = {}

    def begin(self, about: Hashable, sentence: str) -> None:
        """The worker waits, or still waits, for what `sentence` says."""
        now = self._clock()
        if about not in self._sentences or now - self._logged[about] >= LOG_AGAIN_S:
            log.warning("%s", sentence)
            self._logged[about] = now
        self._sentences[about] = sentence

    def over(self, about: Hashable) -> None:
        """The wait, if there was one, is over."""
        sentence = self._sentences.pop(about, None)
        if sentence is not None:
            log.warning("no longer: %s", sentence)

    def forget(self) -> None:
        """An assignment is over, and its waits with it."""
        self._sentences.clear()

    def sentences(self) -> tuple[str, ...]:
        """The present waits."""
        return tuple(self._sentences.values())


class Progress(NamedTuple):
    """Facts about the worker. Durations are seconds; None where the thing never happened."""

    phase: Phase
    assigned: tuple[int, ...]
    """Partition numbers of this worker, running or still recovering."""
    recovered: bool
    """The state of every assigned partition has been read, and its lane is running."""
    suspended: tuple[int, ...]
    """Lanes that another owner has fenced and that wait for the next assignment."""
    queued: int
    """Records that were fetched and not yet committed."""
    waiting_s: float
    """How long the slowest lane has had records without a commit; 0 when there is nothing to do."""
    phase_s: float
    """How long the worker has been in this phase."""
    last_batch_s: float | None
    """How long ago a batch was committed."""
    broker_heard_s: float | None
    """How long ago the broker answered anything."""
    written_s: float | None
    """How long ago the broker took a record or a commit, for the partition where that is longest ago.

    None where one has had none yet.
    """
    errors_in_a_row: int
    """How often the batch with the most failures has failed."""
    waits: tuple[str, ...] = ()
    """The present waits, as sentences."""


def worker_live(progress: Progress) -> tuple[bool, list[str]]:
    """Whether a worker makes progress or has nothing to do. If not, a restart may help.

    A stall while the broker is silent is the broker's: a restart would not help, so it may last longer.
    """
    reasons = []
    limit_s = _STALLED_S if _hears(progress) and _writes(progress) else _STALLED_WITHOUT_BROKER_S
    if progress.waiting_s > limit_s:
        reasons.append(f"a lane has had records for {progress.waiting_s:.0f} s and committed none")
    if progress.phase in {"starting", "rebalancing"} and progress.phase_s > _PHASE_S:
        reasons.append(f"{progress.phase} for {progress.phase_s:.0f} s")
    return not reasons, reasons


def worker_ready(progress: Progress) -> tuple[bool, list[str]]:
    """Whether a worker is recovered, has partitions, and could write and commit in the last 10 s.

    A broker that answers is not enough: below `min.insync.replicas` it answers and takes no record.
    """
    reasons = []
    if progress.phase != "running":
        reasons.append(f"the worker is {progress.phase}")
    if not progress.assigned:
        reasons.append("no partition is assigned")
    elif not progress.recovered:
        reasons.append("the table is not recovered")
    if progress.suspended:
        reasons.append(f"another worker has taken over partitions {', '.join(map(str, progress.suspended))}")
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
    """Heartbeats are written every few seconds while a worker runs; before that it writes nothing."""
    return progress.phase != "running" or _silence_s(progress) <= _BROKER_SILENT_S


def _silence_s(progress: Progress) -> float:
    written_s = progress.phase_s if progress.written_s is None else progress.written_s
    return min(written_s, progress.phase_s)
