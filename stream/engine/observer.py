"""What the lanes tell whoever counts.

The rule of this file: each method is called at most a few times for a batch, never for a record, and must not
block.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    """What the worker is doing."""

    STARTING = "starting"
    REBALANCING = "rebalancing"
    RECOVERING = "recovering"
    RUNNING = "running"
    STOPPING = "stopping"


class Observer(Protocol):
    """Told by the lanes, on the event loop's thread. Durations are seconds."""

    def phase(self, phase: Phase) -> None:
        """The worker entered `phase`."""
        ...

    def rebalance_started(self) -> None:
        """Partitions are being taken away."""
        ...

    def rebalance_ended(self, seconds: float, partitions: int) -> None:
        """`partitions` lanes are at work again, `seconds` after the rebalance started."""
        ...

    def recovery(self, remaining: int) -> None:
        """`remaining` changelog offsets are still to be read; 0 when done."""
        ...

    def recovered(self, partitions: int, records: int, seconds: float) -> None:
        """The changelogs of `partitions` partitions were read: `records` in `seconds`."""
        ...

    def consumed(self, topic: str, records: int, value_bytes: int) -> None:
        """`records` of a source topic were fetched."""
        ...

    def batch(self, partition: int, records: int, process_s: float, total_s: float) -> None:
        """A batch was committed: folding took `process_s`, all of it `total_s`."""
        ...

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        """`records` were acknowledged by the broker (or refused) after `seconds`."""
        ...

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Committed offset of a source partition is `records` behind its end. Once a second."""
        ...

    def entries(self, partition: int, count: int) -> None:
        """The table has about `count` entries for `partition`. Once a second."""
        ...

    def error(self, kind: str) -> None:
        """Something went wrong and is being dealt with.

        One of `processor`, `aborted`, `refused`, `fenced`, `overtaken`, `expired`, `rewound`, `stale_broker`,
        `read_anew`, `tick`.
        """
        ...


class NullObserver:
    """Counts nothing."""

    def phase(self, phase: Phase) -> None: ...

    def rebalance_started(self) -> None: ...

    def rebalance_ended(self, seconds: float, partitions: int) -> None: ...

    def recovery(self, remaining: int) -> None: ...

    def recovered(self, partitions: int, records: int, seconds: float) -> None: ...

    def consumed(self, topic: str, records: int, value_bytes: int) -> None: ...

    def batch(self, partition: int, records: int, process_s: float, total_s: float) -> None: ...

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None: ...

    def lag(self, topic: str, partition: int, records: int) -> None: ...

    def entries(self, partition: int, count: int) -> None: ...

    def error(self, kind: str) -> None: ...
