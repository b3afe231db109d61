"""Throttles repeated log lines of the Kafka clients, and counts what was suppressed.

While the broker is down they come hundreds of times a second. callstream's own lines are never suppressed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 10.0
KEPT = 500
"""Different messages that are remembered; beyond that the memory is cleared."""

CLIENTS = ("aiokafka", "faust", "mode", "kafka")


class ClientLogThrottle(logging.Filter):
    """Passes each message of a client once in EVERY_S. For a handler; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}
        self._held_back: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in CLIENTS:
            return True
        # Without its arguments, so that the node or partition makes no difference.
        what = (record.name, str(record.msg))
        now = self._clock()
        if now - self._said.get(what, -EVERY_S) < EVERY_S:
            self._held_back[what] = self._held_back.get(what, 0) + 1
            return False
        if len(self._said) >= KEPT:
            self._said.clear()
            self._held_back.clear()
        self._said[what] = now
        count = self._held_back.pop(what, 0)
        if count:
            record.msg, record.args = f"{record.getMessage()} (and {count} times before)", ()
        return True
