"""How much of a ceiling a provider lets us use: learned from its 429s, and from its answers.

The rule of this file: it falls by a factor at once and rises by steps, slowest where the provider said no
last. What is learned is a share of the ceiling, so that it outlives a change of the ceiling.

Plain additive increase comes back to the provider's limit within seconds, and each visit costs a pause of a
second or more: with a provider that carries nothing over from one second to the next, half of what it allows
is lost. So the level of the last 429 is remembered, as TCP CUBIC (RFC 9438) does: quickly to just below it,
slowly past it, and quickly again where the provider turns out to allow more.
"""

from __future__ import annotations

DECREASE = 0.8
"""What a 429 leaves of it."""

RISE = 0.05
"""Of the ceiling, in a second of work."""

NEAR = 0.04
"""The provider's limit is taken to be within this share of the level that got the last 429."""

CROSSING_S = 80.0
"""Seconds of work from the lower end of that range to the upper one."""

WORK_S = 1.0
"""An answer stands for the time since the one before it, but for no more than this."""


class AdaptiveLimit:
    """A share of a ceiling, above 0 and up to 1.

    It rises with the provider's answers: to where it was before its last fall with any of them, beyond only
    with those of requests that used it fully, since others say nothing about its limit.
    """

    def __init__(self) -> None:
        self.share = 1.0
        self._quickly_to = 0.0
        self._slow_for_s = 0.0
        self._slowly = 0.0
        self._answered = True
        self._answered_at_s = 0.0

    def throttled(self, *, suspected: bool, used: float, least: float, until_s: float) -> None:
        """A 429: fall, not below `least`.

        `suspected`: it was about this limit, of which the share `used` was in use. Nothing before `until_s`
        is work. With no answer since the last fall nothing is remembered: then the provider refuses
        everything for a while, at whatever level.
        """
        if self._answered and suspected:
            self._remember(min(self.share, used))
        elif self._answered:
            self._quickly_to = max(self.share, self._quickly_to)
        self.share = max(min(least, self.share), self.share * DECREASE)
        self._answered = False
        self._answered_at_s = until_s

    def _remember(self, level: float) -> None:
        self._quickly_to = level * (1 - NEAR)
        self._slowly = level * 2 * NEAR / CROSSING_S
        self._slow_for_s = CROSSING_S

    def answered(self, now_s: float, *, used: bool) -> None:
        """An answer that is no 429. `used`: its request went when no other might have gone beside it."""
        seconds = min(max(0.0, now_s - self._answered_at_s), WORK_S)
        self._answered_at_s = max(now_s, self._answered_at_s)
        self._answered = True
        if self.share < self._quickly_to:
            self.share = min(self.share + RISE * seconds, self._quickly_to)
        elif used and self._slow_for_s > 0:
            self.share = min(self.share + self._slowly * seconds, 1.0)
            self._slow_for_s -= seconds
        elif used:
            self.share = min(self.share + RISE * seconds, 1.0)
