"""When the rows of one call appear in its provider's lists.

Two clocks meet here: rows carry the call's own times, and appear by the wall clock, counted from the moments
at which the provider was told of the call's begin and end. What happens a second into a call appears a second
after its begin, at the latest when the call has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from stream.simulator.calls.call import (
    ALERT_S,
    CONSISTENT_S,
    LOGGED_S,
    PRICE_S,
    ProviderReport,
    SimulatedCall,
    scaled_us,
)
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.rest.sorted_rows import RowKey
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import RETRIED_US, attempts
from stream.simulator.twilio.call import LISTED, TwilioCall


class Appearance(NamedTuple):
    """A version of a row, which appears at `due_us` in the list of its source.

    Of several versions with one key the highest `version` counts.
    """

    due_us: int
    key: RowKey
    report: ProviderReport
    version: int


@dataclass(slots=True, eq=False)
class HeldCall:
    """A call that its provider knows since `begun_us` of the wall clock.

    - `ended_us`: when the provider was told of its end; None: not yet.
    - `shown`: by source and key, the version that is shown now.
    - `due_us`: when more of it appears or it is forgotten; None: unknown.
    """

    call: SimulatedCall
    number: int
    begun_us: int
    ended_us: int | None = None
    due_us: int | None = None
    shown: dict[tuple[str, RowKey], int] = field(default_factory=dict)

    def wall_clock_us(self, at_us: int) -> int | None:
        """When a moment of the call's own time is on the wall clock; None if it is not known yet."""
        leg, ended_us = self.call.leg, self.ended_us
        since_us = self.begun_us + at_us - leg.began_us
        if at_us >= leg.ended_us:
            return None if ended_us is None else ended_us + at_us - leg.ended_us
        return since_us if ended_us is None else min(since_us, ended_us)


def appearances(held: HeldCall, time_factor: float) -> list[Appearance]:
    """Everything that is known to appear of a call, unordered."""
    call = held.call
    if isinstance(call, TwilioCall):
        return _versions(held, call, time_factor) + _alerts(held, call, time_factor)
    return _logged(held, call) if isinstance(call, TelnyxCall) else []


def _versions(held: HeldCall, call: TwilioCall, time_factor: float) -> list[Appearance]:
    """The Calls resource: one row, in a new version with each state."""
    key = (call.leg.began_us, held.number)
    found = []
    for n, row in enumerate(call.versions):
        if row.status != call.leg.ending.status:
            due_us = held.wall_clock_us(row.read_us)
        elif held.ended_us is None:
            continue
        elif row.priced:
            due_us = held.ended_us + scaled_us(PRICE_S, time_factor)
        else:
            due_us = held.ended_us + scaled_us(CONSISTENT_S, 1)
        if due_us is not None:
            found.append(Appearance(due_us, key, ProviderReport("twilio_call", n, 0), n))
    return found


def _alerts(held: HeldCall, call: TwilioCall, time_factor: float) -> list[Appearance]:
    """The rows of Monitor Alerts, as listed. Notifications appear at the same moments.

    A request may fail long after the end of its call, and yet before its last read, where time is faster too.
    """
    found = []
    for n, entry in enumerate(call.errors):
        after_s = max(0, entry.at_us - call.leg.ended_us) / SECOND_US
        at_us = held.wall_clock_us(min(entry.at_us, call.leg.ended_us))
        if at_us is not None:
            at_us += scaled_us(after_s, time_factor)
            key = (entry.at_us // SECOND_US * SECOND_US, 32 * held.number + n)
            report = ProviderReport("twilio_alert", n, 0)
            found.append(Appearance(at_us + int(ALERT_S * SECOND_US), key, report, LISTED))
    return found


def _logged(held: HeldCall, call: TelnyxCall) -> list[Appearance]:
    """Telnyx' log, in which a row says how often its webhook was tried so far, and the deliveries."""
    found = []
    for n, row in enumerate(call.log):
        report, key = ProviderReport("telnyx_call_event", n, 0), (row.at_us, 32 * held.number + n)
        for tried in range(attempts(row.failed)):
            at_us = held.wall_clock_us(row.at_us + RETRIED_US[tried])
            if at_us is not None:
                found.append(Appearance(at_us + int(LOGGED_S * SECOND_US), key, report, tried + 1))
    for n, delivery in enumerate(call.deliveries):
        finished_us = held.wall_clock_us(delivery.finished_us)
        if finished_us is not None:
            report, key = (
                ProviderReport("telnyx_webhook_delivery", n, 0),
                (delivery.began_us, 32 * held.number + n),
            )
            found.append(Appearance(finished_us, key, report, 1))
    return found
