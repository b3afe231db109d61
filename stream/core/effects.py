"""The effects of a delivery or tick, as data: the core returns them, the agents write and count them.

An effect is a fact in the past tense and a function of the input. Late, repeated or contradictory deliveries
are effects too, never exceptions.
A new `Event`, a `CallRecord`, an `Alert` and a `FetchRequest` are effects too: these are written to topics.
"""

from __future__ import annotations

import msgspec

from stream.core.verdicts.siblings import AnsweredCall


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


class ChildFound(msgspec.Struct, tag="child", tag_field="kind"):
    """A call names its parent for the first time, is answered, or more is known of when: the parent, in
    whatever partition, is to know its child. A record of the scopes topic.

    `account`: the child's; `answered_us`, `derived`: see `AnsweredCall`.
    """

    parent_key: str
    account: str | None
    child_call_id: str
    received_at: str
    answered: bool = False
    answered_us: int | None = None
    derived: bool = False


class SiblingAnswered(msgspec.Struct, tag="sibling", tag_field="kind"):
    """Other children of its parent were answered: `key` may have lost a dial against one of them.

    A record of the scopes topic. `answered`: all answered children that the parent knows.
    """

    key: str
    account: str | None
    received_at: str
    answered: tuple[AnsweredCall, ...] = ()


class StateConflict(msgspec.Struct):
    """Sources disagree on a field of one call, for the first time."""

    provider: str
    field: str


class SequenceGapOpened(msgspec.Struct):
    """Callbacks before a received one are still missing after the grace period.

    `numbers`: as `gaps.gap_of` writes a gap.
    """

    source: str
    numbers: list[int]


class SequenceGapClosed(msgspec.Struct):
    """A reported gap is closed; `by` is `late_arrival`, `poll_heal`, `not_sent` or `expired`."""

    source: str
    by: str
    number: int


class SubscriptionShown(msgspec.Struct):
    """A call that has ended shows which progress events its callback configuration sends.

    - `steps`: those that it may send; `received`: those whose callbacks came; bit sets of
      `subscriptions.STEPS`. `proven`: a request log has every callback that was sent.
    - `at_s`: stream time, in seconds since 1970.
    """

    configuration: str
    steps: int
    received: int
    proven: bool
    at_s: int


class SubscriptionDisproved(msgspec.Struct):
    """A callback that was taken for not subscribed to was sent: one with these `steps`."""

    configuration: str
    steps: int


class InsightsEventSeen(msgspec.Struct):
    """A Voice Insights event, by edge and level as sent."""

    edge: str | None
    level: str | None


class CallErrorSeen(msgspec.Struct):
    """A provider's error code on a call."""

    provider: str
    error_code: str


class ErrorLogged(msgspec.Struct):
    """A new entry of the provider's error log.

    `about` is one of `events.REMARKS`, or `own_url`: a request to us failed.
    """

    level: str | None
    about: str


class ApplicationAnswered(msgspec.Struct):
    """The response of the customer's application to the provider, and how long it took."""

    provider: str
    endpoint: str
    code_class: str
    duration_s: float | None


class FetchAnswered(msgspec.Struct):
    """An awaited result of a poller was applied; `outcome` is one of `fetches.OUTCOMES`."""

    source: str
    outcome: str


class CallReconciled(msgspec.Struct):
    """Callbacks and resources of a call were compared: `match`, `missing_callback`, `missing_poll` or
    `mismatch`."""

    provider: str
    result: str


class CallbackMissing(msgspec.Struct):
    """The provider's own log has an event whose callback was not received."""

    source: str
    event: str


class CallbackAudited(msgspec.Struct):
    """A callback that the provider's own records say was sent, and what became of it: `result` is one of
    `delivery.audit.RESULTS`. Told once for each callback, when the call is read completely or settles.
    """

    provider: str
    account: str | None
    endpoint: str
    event: str
    result: str


class VerdictSettled(msgspec.Struct):
    """A call that did not succeed left the table: whose fault it was, one of `verdicts.table.FAULTS`."""

    provider: str
    direction: str | None
    fault: str


class CallEvicted(msgspec.Struct):
    """A call left the table: `terminal_ttl` (its settle window closed), `max_age` or `forgotten`."""

    reason: str


class CallForgotten(msgspec.Struct, tag="forgotten", tag_field="kind"):
    """A call was forgotten: its records are to go from the compacted topics, too, and it is to go from the
    samples of conditions, which may be in any partition. A record of the scopes topic.
    """

    key: str
    received_at: str


class Observed(msgspec.Struct, gc=False):
    """What a delivery tells about a scope that other calls share: see `alerting.conditions`.

    - `at_us`: event time; `heard_us`: `received_at`, both in microseconds.
    - `counters`: each occurred once; the last one is what `sample` is of: (call key, what was seen).
    """

    scope: str
    at_us: int
    heard_us: int
    counters: tuple[str, ...]
    sample: tuple[str, str] | None = None
