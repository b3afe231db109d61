"""This machine's clock beside the clocks of those who answered.

The rule of this file: pure. An answer tells the time to a second and took a while to come: a difference is
said where it is more than that, and nothing where nobody was asked who has a clock of their own.
(HTTP's `Date`: RFC 9110 6.6.1.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stream.cli.checkup.check import Check

SLACK_S = 2.0


class Dated(NamedTuple):
    """An answer with a `Date`. `sent_s`, `got_s`: by our clock; `own`: it was this machine that answered."""

    host: str
    own: bool
    said_s: float
    sent_s: float
    got_s: float

    @property
    def ahead_s(self) -> float:
        """How far our clock is before theirs."""
        return (self.sent_s + self.got_s) / 2 - (self.said_s + 0.5)

    @property
    def error_s(self) -> float:
        return 0.5 + (self.got_s - self.sent_s) / 2


def clock(answers: Sequence[Dated], tolerance_s: float) -> Check:
    """`tolerance_s`: the age at which a signature of Telnyx is refused."""
    away = sorted((one for one in answers if not one.own), key=lambda one: one.error_s)
    if not away:
        return Check("clock", "unknown", "nobody with another clock was asked or told the time")
    best = away[0]
    apart_s = max(abs(one.ahead_s - best.ahead_s) - one.error_s - best.error_s for one in away)
    if apart_s > SLACK_S:
        return Check("clock", "unknown", "those that were asked do not agree on the time")
    off_s = abs(best.ahead_s)
    if off_s <= best.error_s + SLACK_S:
        return Check("clock", "ok", f"agrees with {best.host} to {best.error_s + SLACK_S:.0f} s")
    says = f"{off_s:.0f} s {'before' if best.ahead_s > 0 else 'behind'} that of {best.host}"
    mend = "let the machine keep its time by NTP"
    if off_s > tolerance_s:
        return Check("clock", "failed", f"{says}: signatures of Telnyx are refused", mend)
    return Check("clock", "warning", says, mend)
