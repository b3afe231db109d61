"""What a provider's list resources show of one call, and from when on.

The rule of this file: two clocks meet here. Rows carry the call's own times; they are there by the wall
clock, counted from the moments at which the call was said to have begun and ended. While it lasts, what
happens a second into it is there a second after it began, and at the latest when it has ended.
"""

from __future__ import annotations

from typing import NamedTuple

from stream.simulator.calls import delays
from stream.simulator.calls.call import ProviderReport
from stream.simulator.calls.delays import scaled_us
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.rest.sorted_rows import RowKey
from stream.simulator.telnyx import deliveries
from stream.simulator.telnyx.reports import TelnyxCall
from stream.simulator.twilio.reports import TwilioCall

Call = TwilioCall | TelnyxCall


class Appearance(NamedTuple):
    """A row in one of its versions: from `due_us` on it stands at `place` in the list of its source.

    Of several versions at one place the one with the highest `version` counts.
    """

    due_us: int
    place: RowKey
    report: ProviderReport
    version: int


class HeldCall:
    """A call that its provider knows, since `begun_us` of the wall clock.

    - `ended_us`: when it was said to have ended, None for not yet.
    - `shown`: by source and place, which version is shown now.
    - `looks_us`: when to look at it again, None for never.
    """

    __slots__ = ("begun_us", "call", "ended_us", "looks_us", "number", "shown")

    def __init__(self, call: Call, number: int, begun_us: int) -> None:
        self.call = call
        self.number = number
        self.begun_us = begun_us
        self.ended_us: int | None = None
        self.looks_us: int | None = None
        self.shown: dict[tuple[str, RowKey], int] = {}

    def moment_us(self, at_us: int) -> int | None:
        """When something of the call's time is on the wall clock; None if it is not known yet."""
        leg, ended_us = self.call.leg, self.ended_us
        since_us = self.begun_us + at_us - leg.began_us
        if at_us >= leg.ended_us:
            return None if ended_us is None else ended_us + at_us - leg.ended_us
        return since_us if ended_us is None else min(since_us, ended_us)

    def since_end(self, now_us: int) -> int | None:
        """Microseconds of the wall clock since its end; None before."""
        return None if self.ended_us is None or now_us < self.ended_us else now_us - self.ended_us


def appearances(held: HeldCall, time_factor: float) -> list[Appearance]:
    """Everything that the lists are known to show of a call, in no order."""
    call = held.call
    return _states(held, call, time_factor) if isinstance(call, TwilioCall) else _logged(held, call)


def _states(held: HeldCall, call: TwilioCall, time_factor: float) -> list[Appearance]:
    """The Calls resource: one row, in a new version with each state."""
    place = (call.leg.began_us, held.number)
    found = []
    for n, row in enumerate(call.rows):
        if row.status != call.leg.ending.status:
            due_us = held.moment_us(row.read_us)
        elif held.ended_us is None:
            continue
        else:
            after_s = delays.PRICE_S if row.priced else delays.CONSISTENT_S
            due_us = held.ended_us + scaled_us(after_s, time_factor if row.priced else 1)
        if due_us is not None:
            found.append(Appearance(due_us, place, ProviderReport("twilio_call", n, 0), n))
    return found


def _logged(held: HeldCall, call: TelnyxCall) -> list[Appearance]:
    """Telnyx' log, in which a row says how often its webhook was tried so far, and the deliveries."""
    found = []
    for n, row in enumerate(call.log):
        report = ProviderReport("telnyx_call_event", n, 0)
        for tried in range(deliveries.attempts(row.failed)):
            at_us = held.moment_us(row.at_us + deliveries.RETRIED_US[tried])
            if at_us is not None:
                due_us = at_us + int(delays.LOGGED_S * SECOND_US)
                found.append(Appearance(due_us, (row.at_us, 32 * held.number + n), report, tried + 1))
    for n, delivery in enumerate(call.deliveries):
        finished_us = held.moment_us(delivery.finished_us)
        if finished_us is not None:
            place = (delivery.began_us, 32 * held.number + n)
            found.append(Appearance(finished_us, place, ProviderReport("telnyx_webhook_delivery", n, 0), 1))
    return found
