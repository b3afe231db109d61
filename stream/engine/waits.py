"""What the worker waits for, as sentences for an operator: in the log, and in what `/readyz` answers.

The rule of this file: a wait is logged when it begins and every 30 s from then on, not each time it is looked
at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

AGAIN_S = 30.0

log = logging.getLogger("callstream.lanes")


class Waits:
    """The waits of a worker, by what they are about."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sentences: dict[Hashable, str] = {}
        self._logged: dict[Hashable, float] = {}

    def begin(self, about: Hashable, sentence: str) -> None:
        """The worker waits, or still waits, for what `sentence` says."""
        now = self._clock()
        if about not in self._sentences or now - self._logged[about] >= AGAIN_S:
            log.warning("%s", sentence)
            self._logged[about] = now
        self._sentences[about] = sentence

    def over(self, about: Hashable) -> None:
        """It came. Nothing is said where nothing was waited for."""
        sentence = self._sentences.pop(about, None)
        if sentence is not None:
            log.warning("no longer: %s", sentence)

    def forget(self) -> None:
        """An assignment is over, and its waits with it."""
        self._sentences.clear()

    def sentences(self) -> tuple[str, ...]:
        """What is waited for now."""
        return tuple(self._sentences.values())
