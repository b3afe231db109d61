"""The second from which a tick must check a call.

Time is stream time, in microseconds since 1970: no clock is read.
"""

from __future__ import annotations

from stream.core.call.state import Call, was_only_named
from stream.core.policy import CallPolicy

SECOND_US = 1_000_000


def due_second(from_us: int, after_s: float) -> int:
    """The first whole second at or after `from_us` + `after_s`."""
    return int(-((-from_us - int(after_s * SECOND_US)) // SECOND_US))


def next_due(call: Call, policy: CallPolicy) -> int:
    """The second of the earliest deadline of a call."""
    arrival = call.arrival
    if was_only_named(call):
        return due_second(arrival.first_us, policy.max_age_s)
    if call.ended:
        due = due_second(arrival.ended_us, policy.settle_s)
        if arrival.revise_us:
            due = min(due, due_second(arrival.revise_us, 0))
    else:
        due = due_second(arrival.first_us, policy.max_age_s)
        if not call.overdue:
            due = min(due, due_second(arrival.first_us, policy.overdue_s))
    if arrival.gap_due_us:
        due = min(due, due_second(arrival.gap_due_us, 0))
    for fetch in call.fetches:
        if fetch.due_s and fetch.due_s < due:
            due = fetch.due_s
    return due
