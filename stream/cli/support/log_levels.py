"""Lowers the level of what the libraries log as a fault and is none: it belongs to each start and stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

FIRST_START_S = 20.0
"""How long a new broker may take to create the topic of the group coordinators."""


class Lowered(logging.Filter):
    """For a logger: its message that begins with `text` is an INFO, for `within_s` from its first time on.

    `clock` gives seconds.
    """

    def __init__(
        self, text: str, within_s: float = float("inf"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._text = text
        self._within_s = within_s
        self._clock = clock
        self._first_s: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith(self._text):
            return True
        if self._first_s is None:
            self._first_s = self._clock()
        if self._clock() - self._first_s > self._within_s:
            return True
        record.levelno, record.levelname = logging.INFO, "INFO"
        return logging.getLogger(record.name).isEnabledFor(logging.INFO)


def lower() -> None:
    """Apply this in the whole process from now on. Idempotent."""
    for name, lowered in _NO_FAULTS.items():
        logging.getLogger(name).addFilter(lowered)


_NO_FAULTS = {
    # At a first start. If it goes on, it is a fault: no topic can be created.
    "aiokafka.consumer.group_coordinator": Lowered(
        "Group Coordinator Request failed: GroupCoordinatorNotAvailableError", FIRST_START_S
    ),
    # Faust looks after partitions that stand still, by a timer that takes its time during a rebalance. The
    # lanes are watched by callstream itself.
    "mode.timers": Lowered("Timer livelock "),
    # A stop cancels what was connecting. The connection closes itself as it says this.
    "asyncio": Lowered("Unclosed AIOKafkaConnection"),
}
