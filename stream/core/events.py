"""The types that sources return and the fold takes: one vocabulary for every provider.

The field names of `Event` and their meaning are the contract of `calls.events.v1`. Consumers ignore unknown
fields.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

SCHEMA_VERSION = 1

FAMILIES: tuple[str, ...] = (
    "progress",
    "recording",
    "amd",
    "conference",
    "insights",
    "request_log",
    "delivery",
    "resource",
    "media",
    "transcription",
    "other",
)


REMARKS: tuple[str, ...] = ("application", "callback", "other", "unreadable")
"""What an entry of a provider's error log is about.

- `application`: the customer's application failed to answer a request for instructions.
- `callback`: a call's callback was not delivered. The call is unharmed, and we lack an event.
- `unreadable`: its details could not be read.
"""


UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where it cannot decode: also for a text that is not UTF-8, and for too many levels."""


class DecodeError(ValueError):
    """A delivery that cannot be read: it becomes a dead letter.

    `reason` is one of the dead letters' reasons (`not_json`, `missing_id`, …); `detail` describes the error
    without the delivery's content.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """How a raw envelope came, as far as a worker reads it.

    `verified`: the provider signed it, or it was read with the account's credentials.
    """

    verified: bool = False


class Envelope(msgspec.Struct, gc=False):
    """A raw envelope: one delivery as the gateway or the poller wrote it.

    `received_at` is canonical (UTC, six fraction digits, `Z`), `received_us` the same in microseconds since
    1970. The decoder owns `body` and may modify it. `is_form`: all values of `body` are known to be texts.
    """

    is_form: ClassVar[bool] = False
    source: str
    received_at: str
    body: dict[str, Any]
    received_us: int = 0
    account: str | None = None
    endpoint: str | None = None
    delivery: Delivery = Delivery()
    ordinal: int = 0


class Origin(msgspec.Struct, gc=False):
    """The position in Kafka of the delivery that was applied."""

    topic: str
    partition: int
    offset: int


class Event(msgspec.Struct, kw_only=True, gc=False):
    """One logical event, as `calls.events.v1` carries it (fields in that order).

    A source sets what the provider sent; `id`, `account_alias`, `received_at`, `late` and
    `origin` are set by the fold. `from_hash` and `to_hash` are set with the masks; without a privacy key they
    are not written.
    """

    schema_version: int = SCHEMA_VERSION
    id: str = ""
    key: str
    provider: str
    account: str | None = None
    account_alias: str | None = None
    call_id: str | None = None
    parent_call_id: str | None = None
    session_id: str | None = None
    leg_id: str | None = None
    source: str
    family: str
    name: str
    status: str | None = None
    outcome: str | None = None
    level: str | None = None
    edge: str | None = None
    group: str | None = None
    sequence_number: int | None = None
    occurred_at: str | None = None
    occurred_at_quality: str = "unknown"
    received_at: str = ""
    sip_response_code: int | None = None
    error_code: str | None = None
    duration_s: float | int | None = None
    late: bool = False
    from_hash: str | msgspec.UnsetType = msgspec.UNSET
    to_hash: str | msgspec.UnsetType = msgspec.UNSET
    attributes: dict[str, Any] = {}
    origin: Origin | None = None


class WebhookAnswer(msgspec.Struct):
    """The response of the customer's application to the provider, from a request log or an error log.

    `endpoint` is the URL without user info, query and fragment; `code_class` is one of
    `2xx, 3xx, 4xx, 5xx, timeout, none`, or `invalid` where the provider says that it could not use the
    answer; `response_code` is None without a response.
    """

    endpoint: str
    method: str | None
    response_code: int | None
    duration_s: float | None
    code_class: str
    attempts: int | None = None


class SentCallback(msgspec.Struct, array_like=True):
    """What a provider's own record says of a callback that it sent.

    - `event`: the first 64 bits of the id of the callback's event.
    - `endpoint`: as in `WebhookAnswer`; `refused`: it answered, and did not take the callback.
    - `number`: the event's sequence number; `status`: an index of `statuses.STATUSES`, -1 for none; `name`:
      of an event without a status.
    """

    event: int
    endpoint: str
    refused: bool
    number: int | None = None
    status: int = -1
    name: str = ""


RECORDING_RANK: dict[str, int] = {
    "in-progress": 1,
    "paused": 2,
    "absent": 3,
    "failed": 4,
    "completed": 5,
    "saved": 5,
}


class Recording(msgspec.Struct, array_like=True, order=True):
    """One recording of a call. `status` is the provider's word."""

    id: str
    status: str
    duration_s: float | int | None = None

    def merged(self, said: Recording) -> Recording:
        """What two reports of it come to: the furthest status and the longest duration."""
        durations = [d for d in (self.duration_s, said.duration_s) if d is not None]
        status = max(self.status, said.status, key=lambda s: (RECORDING_RANK.get(s, 0), s))
        return Recording(said.id, status, max(durations, default=None))


class Reading(msgspec.Struct, gc=False):
    """One event that a delivery reports, before it is known whether the event is new.

    - `event`: complete, except the fields that the fold sets.
    - `identity_rule`, `parts`: its identity within (key, family); see `stream.core.identity`, which sets
      `fingerprint` (the first 64 bits of the event's id) with the id.
    - `occurred_us`: `event.occurred_at` in microseconds since 1970, None if unknown.
    - `facts`: about the call as a whole, by the names of the call record (`from`, `to`, `direction_detail`,
      `from_hash`, `to_hash`, `parent_call_id`, `session_id`, `leg_id`, `account`, `answered_by`, `price`,
      `price_unit`, and of alerts, `stir_attestation`), texts.
    - `as_of_us`: how new these facts are, if the source is a resource that changes (`date_updated`).
    - `hangup`: Telnyx' hangup cause, lower case, if the event ends a call and its status depends on whether
      the call was answered.
    - `answer`: the application's response, in request-log and delivery rows; in an entry of the error log,
      the one that failed.
    - `recording`: set on recording events.
    - `child_call_id`: a call that this one has dialled.
    - `alarming`: the provider marked the event as an error (level ERROR, `….failed`, `….error`).
    - `remark`: of an entry of the provider's error log, what it is about: one of REMARKS.
    - `evidence`: (fact, value) of what may say whose fault the call's end was, in the words of the verdict's
      table: codes and words, never an address. The event's own error code need not be among them.
    - `sent`: a callback that was sent, in a provider's record of its delivery.
    - `is_form`: all values of the event's attributes are known to be texts.
    """

    event: Event
    identity_rule: str
    parts: tuple[Any, ...]
    occurred_us: int | None = None
    facts: dict[str, str] | None = None
    as_of_us: int | None = None
    hangup: str | None = None
    answer: WebhookAnswer | None = None
    recording: Recording | None = None
    alarming: bool = False
    child_call_id: str | None = None
    remark: str | None = None
    evidence: tuple[tuple[str, str], ...] = ()
    sent: SentCallback | None = None
    fingerprint: int = 0
    is_form: bool = False

    @property
    def is_fault(self) -> bool:
        """Whether its error code is of a fault: what an error log only warns of did not stop the provider."""
        return self.remark is None or self.event.level == "error"
