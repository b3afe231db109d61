"""What a reader of one call sees: its facts, and everything that happened, in the order of its time.

It is derived from records that have left callstream: the call record, its events, its alerts. Nothing is
invented: what no source says is None, and each time has its quality beside it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.core.delivery.audit import AuditedCallback
from stream.core.forgetting import FORGET
from stream.core.verdicts.decision import Verdict

Kind = Literal["event", "missing", "alert"]
"""`missing`: a callback that never came and that no source describes."""

Arrival = Literal["received", "late", "read", "never_came"]
"""How it came to callstream.

- `received`: as a callback; `late`: behind its successor, or after it was reported as a gap.
- `read`: from a resource of the provider, as is usual for it.
- `never_came`: a callback that was due and did not come. Of a row of kind `event` the provider's own records
  say that it happened.
"""

PROVIDER, CALLSTREAM, APPLICATION = "provider", "callstream", "application"
"""Those who send and receive. Besides them, an edge of Voice Insights by its name."""


class HttpExchange(msgspec.Struct, kw_only=True):
    """A request to the application, or from it, as the provider's records tell it.

    - `url`: without user info, query and fragment; `status`: None where no response is told.
    - `result`: `2xx` to `5xx`, `timeout` or `none` (no usable response); None where the records do not say.
    - `attempts`: how often it was tried, if told.
    """

    url: str | None
    method: str | None = None
    status: int | None = None
    result: str | None = None
    duration_s: float | None = None
    attempts: int | None = None


class AlertNote(msgspec.Struct, kw_only=True):
    """An alert about the call, in its latest revision."""

    id: str | None
    episode_id: str | None
    rule: str
    state: str
    severity: str
    text: str
    help: str | None = None
    ends_at: str | None = None
    links: dict[str, str] = {}


class TimelineRow(msgspec.Struct, kw_only=True):
    """One thing that happened, or should have.

    - `position_s`: where it stands in the timeline, in seconds from the call's start, ascending. Where its
      own time is unknown, it is that of its receipt; of a missing callback, that of the one before it.
    - `offset_s`: seconds from the start to `occurred_at`; None where that time or the start is unknown.
    - `sender`, `receiver`: `provider`, `callstream`, `application`, or the name of an edge.
    - `source`: of the delivery that was applied; `seen_by`: all sources that reported it, sorted.
    - `delay_s`: from `occurred_at` to `received_at`.
    - `details`: what else the event says of why and who, in the provider's words: the cause of a hangup, who
      hung up, who answered.
    - `text`: a sentence of what it is, for a person. It may contain what a provider sent: escape it.
    - `missing_because`: of a callback that never came, how its gap is recorded: `open`, `expired`,
      `poll_heal`, or the result of the delivery audit.
    - `audit`: what became of this callback at each endpoint that it was sent to, where not delivered.
    """

    kind: Kind
    position_s: float
    offset_s: float | None = None
    occurred_at: str | None = None
    occurred_at_quality: str = "unknown"
    received_at: str | None = None
    delay_s: float | None = None
    sender: str
    receiver: str
    family: str
    name: str
    status: str | None = None
    level: str | None = None
    edge: str | None = None
    group: str | None = None
    sequence_number: int | None = None
    source: str | None = None
    seen_by: list[str] = []
    arrival: Arrival = "received"
    missing_because: str | None = None
    audit: list[AuditedCallback] = []
    sip_response_code: int | None = None
    error_code: str | None = None
    duration_s: float | int | None = None
    exchange: HttpExchange | None = None
    alert: AlertNote | None = None
    event_id: str | None = None
    details: list[str] = []
    text: str = ""


class CallPhase(msgspec.Struct):
    """A time of the call's life: `initiated`, `ringing`, `answered` or `ended`; `at` is None if unknown."""

    name: str
    at: str | None
    quality: str
    offset_s: float | None


class PhaseDuration(msgspec.Struct):
    """`setup`, `ring` or `talk`. `quality` is the worse one of its two ends; `reported`: a source gave it as
    it is, else it is a difference of times.
    """

    name: str
    seconds: float | int
    quality: str
    reported: bool


class Disagreement(msgspec.Struct):
    """A field on which sources disagree, and the value that the record has."""

    field: str
    values: list[str]
    chosen: str | None


class ExpectedReport(msgspec.Struct):
    """A source that should report the call and has not.

    `first_at`, `last_at`: when it is read; None of a source that pushes.
    """

    source: str
    first_at: str | None
    last_at: str | None


class ReportedSources(msgspec.Struct):
    """What is known to be there, and what is not yet.

    - `still_expected`: what may still come; empty when the call has settled.
    - `never_came`: of a settled call, expected sources that never reported it.
    - `complete`: resources that were read completely.
    """

    seen: list[str]
    still_expected: list[ExpectedReport]
    never_came: list[str]
    complete: list[str]


class CallTimeline(msgspec.Struct, kw_only=True):
    """One call. `ended`: it has a call record; without one, `status` is that of its events.

    `started_at` is when it was initiated, else the earliest time that is known; offsets count from it.
    `from`, `to` are as stored.
    """

    key: str
    provider: str
    call_id: str
    account: str | None
    account_alias: str | None
    parent_call_id: str | None
    child_call_ids: list[str]
    session_id: str | None
    leg_id: str | None
    direction: str | None
    direction_detail: str | None
    from_: str | None = msgspec.field(name="from")
    to: str | None
    status: str | None
    outcome: str | None
    ended: bool
    settled: bool
    revision: int | None
    truncated: bool
    started_at: str | None
    started_at_quality: str
    phases: list[CallPhase]
    durations: list[PhaseDuration]
    sip_response_code: int | None
    error_codes: list[str]
    answered_by: str | None
    price: str | None
    price_unit: str | None
    verdict: Verdict | None
    conflicts: list[Disagreement]
    completeness: ReportedSources
    rows: list[TimelineRow]

    @property
    def forgotten(self) -> bool:
        """Whether nothing is known of it but that an operator had it forgotten, at `started_at`."""
        return self.completeness.seen == [FORGET]
