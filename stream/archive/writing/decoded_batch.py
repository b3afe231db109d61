"""A batch of records as they were read from the topics, decoded for the archive. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from stream.archive.rows import (
    EventFields,
    RecordFields,
    RecordTimes,
    day_of,
    decode_alert,
    decode_event,
    decode_record,
    is_call,
    micros,
    storable,
    time_of,
    times_of,
)
from stream.archive.store.statements import AlertValues
from stream.core.forgetting import FORGET
from stream.core.privacy.masking import SHOWN_LEVELS
from stream.service.errors import describe
from stream.sources.fields import check_depth

T = TypeVar("T")

log = logging.getLogger("callstream.archive")

ROLES = ("events", "ended", "alerts")
"""The topics that are kept, by their role."""


class TopicRecord(NamedTuple):
    """A record as it was read. `role`: one of ROLES."""

    role: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class EventLine(NamedTuple):
    fields: EventFields
    at_us: int
    received_us: int
    body: str


class RecordLine(NamedTuple):
    fields: RecordFields
    times: RecordTimes
    body: str


class DecodedBatch:
    """What is new in a batch.

    - `events`, `loose`: those of calls, and of none.
    - `records`: the latest revision, by the call's key. `alerts`: likewise, by the episode's id.
    - `forgotten`: when each call was asked to be forgotten.
    - `skipped`: how many could not be read, by the role of the topic.
    """

    def __init__(self, batch: Iterable[TopicRecord]) -> None:
        self.events: list[EventLine] = []
        self.loose: list[EventLine] = []
        self.records: dict[str, RecordLine] = {}
        self.alerts: dict[str, AlertValues] = {}
        self.forgotten: dict[str, int] = {}
        self.skipped = dict.fromkeys(ROLES, 0)
        revisions: dict[bytes | None, list[TopicRecord]] = {}
        for one in batch:
            if one.value is None:
                continue  # of a record of a forgotten call: its event says all
            if one.role == "ended":
                revisions.setdefault(one.key, []).append(one)
            else:
                self._read(one, self._add_event if one.role == "events" else self._add_alert)
        for some in revisions.values():
            self._read_latest(some)

    def _read_latest(self, revisions: list[TopicRecord]) -> None:
        """Read the revisions of a call's record from the last one on, until none before it can be higher.

        A call that began again after it had left the worker's table counts from 1 again, and knows less.
        """
        for number, one in zip(range(len(revisions), 0, -1), reversed(revisions), strict=True):
            revision = self._read(one, self._add_record)
            if revision is not None and revision >= number:
                break

    def _read(self, one: TopicRecord, add: Callable[[bytes], T]) -> T | None:
        """A record that cannot be read is counted and skipped: the worker has validated it, so it is of
        another version, and to wait for it would stop the archive."""
        value = one.value or b""
        try:
            if value.count(b"[") + value.count(b"{") > SHOWN_LEVELS:
                check_depth(msgspec.json.decode(value), SHOWN_LEVELS)
            return add(value)
        except (ValueError, RecursionError) as error:
            self.skipped[one.role] += 1
            log.warning(
                "a record is skipped, it cannot be read: %s[%d] offset %d: %s",
                one.topic,
                one.partition,
                one.offset,
                describe(error),
            )
            return None

    def _add_event(self, value: bytes) -> None:
        event = decode_event(storable(value))
        received_us = micros(event.received_at)
        line = EventLine(event, time_of(event, received_us), received_us, value.decode())
        if not is_call(event.key):
            self.loose.append(line)
            return
        if event.source == FORGET:
            self.forgotten[event.key] = max(received_us, self.forgotten.get(event.key, 0))
        self.events.append(line)

    def _add_record(self, value: bytes) -> int:
        """Its revision."""
        record = decode_record(storable(value))
        times = times_of(record)
        known = self.records.get(record.key)
        # They are read backwards: of two lives, the first one's counts.
        if known is None or record.revision >= known.fields.revision:
            self.records[record.key] = RecordLine(record, times, value.decode())
        return record.revision

    def _add_alert(self, value: bytes) -> None:
        alert = decode_alert(storable(value))
        updated_us = micros(alert.updated_at)
        known = self.alerts.get(alert.episode_id)
        if known is not None and known.revision > alert.revision:
            return
        self.alerts[alert.episode_id] = AlertValues(
            alert.episode_id,
            day_of(updated_us),
            alert.revision,
            alert.fingerprint,
            alert.rule.id,
            alert.severity,
            alert.state,
            alert.account,
            alert.call_key,
            micros(alert.starts_at),
            updated_us,
            value.decode(),
        )
