"""The second from which a tick must check a call.

Time is stream time, in microseconds since 1970: no clock is read.
"""

from __future__ import annotations

from stream.core.call.state import Call
from stream.core.policy import CallPolicy

SECOND_US = 1_000_000


def due_second(from_us: int, after_s: float) -> int:
    """The first whole second at or after `from_us` + `after_s`."""
    return int(-((-from_us - int(after_s * SECOND_US)) // SECOND_US))


def next_due(call: Call, policy: CallPolicy) -> int:
    """The second of the earliest deadline of a call."""
    arrival = call.arrival
    if not call.ended:
        after_s = policy.max_age_s if call.overdue else min(policy.overdue_s, policy.max_age_s)
        due_us = arrival.first_us + int(after_s * SECOND_US)
    elif call.sources:
        due_us = arrival.ended_us + int(policy.settle_s * SECOND_US)
        if 0 < arrival.revise_us < due_us:
            due_us = arrival.revise_us
    else:
        return due_second(arrival.first_us, policy.max_age_s)  # it was only named
    if 0 < arrival.gap_due_us < due_us:
        due_us = arrival.gap_due_us
    due = -(-due_us // SECOND_US)
    for fetch in call.fetches:
        if fetch.due_s and fetch.due_s < due:
            due = fetch.due_s
    return due
