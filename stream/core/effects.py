"""What follows from a delivery, as data: the fold returns these, the agents carry them out.

The rule of this file: an effect is a fact in the past tense and a function of the input. Late, repeated or
contradictory deliveries are effects too, never exceptions.
Besides these, a new `Event`, a `CallRecord` and an `Alert` are effects of their own: they are what is
written.
"""

from __future__ import annotations

import msgspec


class CallStarted(msgspec.Struct):
    """A call was seen for the first time."""

    provider: str
    account: str | None
    direction: str | None


class CallEnded(msgspec.Struct):
    """A call reached its first terminal status. Counted once, never corrected.

    `setup_s` initiated to ringing, `answer_s` initiated to answered, `duration_s` talk time: None where
    unknown.
    """

    provider: str
    account: str | None
    direction: str | None
    outcome: str
    sip_response_code: int | None
    setup_s: float | None
    answer_s: float | None
    duration_s: float | None


class StateConflict(msgspec.Struct):
    """Sources disagree on a field of one call, for the first time."""

    provider: str
    field: str


class SequenceGapOpened(msgspec.Struct):
    """Numbers below a seen one are still missing after the grace."""

    source: str
    numbers: list[int]


class SequenceGapClosed(msgspec.Struct):
    """A number that was reported missing came; `by` is `late_arrival`, `poll_heal` or `expired`."""

    source: str
    by: str


class InsightsEventSeen(msgspec.Struct):
    """A Voice Insights event, by edge and level as sent."""

    edge: str | None
    level: str | None


class CallErrorSeen(msgspec.Struct):
    """A provider's error code on a call."""

    provider: str
    error_code: str


class ApplicationAnswered(msgspec.Struct):
    """What the customer's application answered the provider, and how long it took."""

    provider: str
    endpoint: str
    code_class: str
    duration_s: float | None


class FetchAnswered(msgspec.Struct):
    """A poller's result reached the call that awaited it; `outcome` is one of `fetches.OUTCOMES`."""

    source: str
    outcome: str


class CallReconciled(msgspec.Struct):
    """Callbacks and resources of a call were compared: `match`, `missing_callback`, `missing_poll` or
    `mismatch`."""

    provider: str
    result: str


class CallbackMissing(msgspec.Struct):
    """The provider's own log has an event whose callback never came."""

    source: str
    event: str


class CallEvicted(msgspec.Struct):
    """A call left the table: `terminal_ttl` (its settle window closed) or `max_age`."""

    reason: str
