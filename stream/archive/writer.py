"""Writes records of the topics into the archive: each once, with the offsets, in one transaction.

A partition's offset is changed only if the database still holds the one from which the batch was read. A
writer that was thought dead, and whose partition another has taken, so changes nothing (`FencedError`).
Synchronous: the caller gives it a thread.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from stream.archive.rows import (
    LAST,
    CallRow,
    EventFields,
    RecordFields,
    RecordTimes,
    day_of,
    decode_alert,
    decode_event,
    decode_record,
    is_call,
    micros,
    new_call,
    storable,
    time_of,
    times_of,
)
from stream.archive.samples import shown_in, without_forgotten
from stream.archive.store.sqlite_statements import SqliteStatements
from stream.archive.store.statements import AlertValues, EventValues, Statements
from stream.core.forgetting import FORGET
from stream.core.timestamps import SECOND_US
from stream.service.errors import describe

T = TypeVar("T")

log = logging.getLogger("callstream.archive")

ROLES = ("events", "ended", "alerts")
"""The topics that are kept, by their role."""


SLACK_US = 600 * SECOND_US
"""Of the clocks of those who write times: the gateways, the pollers, and the one who has a call forgotten."""


class FencedError(Exception):
    """Another writer has gone on with a partition: nothing of the batch was written."""


class TopicRecord(NamedTuple):
    """A record as it was read. `role`: one of ROLES."""

    role: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class OffsetRange(NamedTuple):
    """What a batch covers of one partition: from its first offset to the one after it."""

    first: int
    end: int


class WrittenBatch(msgspec.Struct):
    """What has been written of a batch, and what of it could not be read, by the role of the topic."""

    rows: dict[str, int]
    skipped: dict[str, int]
    forgotten: int = 0


class ArchiveWriter:
    """Writes batches into one database. One thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def begin(self, partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """From where each (topic, partition) is to be read: 0 where nothing was written yet.

        Raises SQLAlchemyError.
        """
        with self._transaction() as statements:
            statements.begin_offsets(partitions)
            found = statements.offsets(sorted({topic for topic, _ in partitions}))
            return {one: found[one] for one in partitions}

    def write(
        self, batch: Iterable[TopicRecord], spans: Mapping[tuple[str, int], OffsetRange]
    ) -> WrittenBatch:
        """Write a batch and its offsets.

        - `spans`: of each (topic, partition) of the batch, and of the other topics' partitions of the same
          number: one writer has them all, and each of its transactions holds them all, so that no two change
          one call at once.

        Raises FencedError; SQLAlchemyError if the database refuses, then nothing is written.
        """
        draft = _Draft()
        draft.add(batch)
        with self._transaction() as statements:
            for (topic, partition), span in sorted(spans.items()):
                if not statements.advance(topic, partition, span.first, span.end):
                    raise FencedError(f"{topic}[{partition}] is no longer at offset {span.first}")
            draft.write(statements)
        return draft.written

    @contextmanager
    def _transaction(self) -> Iterator[Statements]:
        """A transaction. What the driver raises in it is an SQLAlchemyError, as at its begin and its end."""
        driver: Any = self.engine.dialect.loaded_dbapi
        with self.engine.begin() as connection:
            try:
                yield _statements_of(connection)
            except driver.Error as error:
                raise DBAPIError(None, None, error) from None


def _statements_of(connection: Connection) -> Statements:
    """The statements of a transaction that has begun."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return SqliteStatements(driver)
    # Not with the module: PostgreSQL's driver is an extra.
    module = importlib.import_module("stream.archive.store.postgresql_statements")
    statements: Statements = module.PostgresqlStatements(driver)
    return statements


class _EventLine(NamedTuple):
    fields: EventFields
    at_us: int
    received_us: int
    body: str


class _RecordLine(NamedTuple):
    fields: RecordFields
    times: RecordTimes
    body: str


class _Draft:
    """A batch, decoded and sorted by the call that it is about."""

    def __init__(self) -> None:
        self.written = WrittenBatch(dict.fromkeys(ROLES, 0), dict.fromkeys(ROLES, 0))
        self._events: list[_EventLine] = []
        self._loose: list[_EventLine] = []
        self._records: dict[str, _RecordLine] = {}
        self._alerts: dict[str, AlertValues] = {}
        self._forgotten: dict[str, int] = {}

    def add(self, batch: Iterable[TopicRecord]) -> None:
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
        try:
            return add(one.value or b"")
        except ValueError as error:
            self.written.skipped[one.role] += 1
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
        line = _EventLine(event, time_of(event, received_us), received_us, value.decode())
        if not is_call(event.key):
            self._loose.append(line)
            return
        if event.source == FORGET:
            self._forgotten[event.key] = max(received_us, self._forgotten.get(event.key, 0))
        self._events.append(line)

    def _add_record(self, value: bytes) -> int:
        """Its revision."""
        record = decode_record(storable(value))
        times = times_of(record)
        known = self._records.get(record.key)
        # They are read backwards: of two lives, the first one's counts.
        if known is None or record.revision >= known.fields.revision:
            self._records[record.key] = _RecordLine(record, times, value.decode())
        return record.revision

    def _add_alert(self, value: bytes) -> None:
        alert = decode_alert(storable(value))
        updated_us = micros(alert.updated_at)
        known = self._alerts.get(alert.episode_id)
        if known is not None and known.revision > alert.revision:
            return
        self._alerts[alert.episode_id] = AlertValues(
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

    def write(self, statements: Statements) -> None:
        if self._forgotten:
            self._forget(statements)
        keys = {line.fields.key for line in self._events} | self._records.keys()
        about = {one.call_key for one in self._alerts.values() if one.call_key is not None}
        shown = {key for one in self._alerts.values() if one.call_key is None for key in shown_in(one.body)}
        if shown:
            statements.share_forgetting()
            about |= shown
        marks = statements.forgotten_of(keys | about)
        if marks:
            self._drop_forgotten(marks)
            keys = {line.fields.key for line in self._events} | self._records.keys()
        calls = statements.calls_of(keys)
        changed = self._fold(calls, statements)
        statements.put_calls(changed)
        statements.put_codes(changed)
        self.written.rows["ended"] = statements.put_records(
            [
                (calls[key].no, calls[key].day, line.fields.revision, line.body)
                for key, line in self._records.items()
            ]
        )
        self.written.rows["events"] = statements.put_events(
            [_values(line, calls[line.fields.key]) for line in self._events]
        ) + statements.put_loose_events(
            [
                (
                    line.fields.key,
                    line.fields.id,
                    day_of(line.received_us),
                    line.fields.account,
                    line.at_us,
                    line.body,
                )
                for line in self._loose
            ]
        )
        self.written.rows["alerts"] = statements.put_alerts(list(self._alerts.values()))

    def _forget(self, statements: Statements) -> None:
        self.written.forgotten = statements.forget(self._forgotten)
        marks = {key: at_us + SLACK_US for key, at_us in self._forgotten.items()}
        alerts = ((id_, without_forgotten(body, marks)) for id_, body in statements.condition_alerts())
        statements.put_alert_bodies([(body, id_) for id_, body in alerts if body is not None])

    def _fold(self, calls: dict[str, CallRow], statements: Statements) -> list[CallRow]:
        """Change the rows of the calls by what is told of them. Adds the new ones to `calls`."""
        changed: dict[str, CallRow] = {}
        for line in self._events:
            event = line.fields
            call = changed.get(event.key)
            if call is None:
                call = changed[event.key] = calls.get(event.key) or new_call(
                    0, event.key, event.provider, line.received_us, line.at_us
                )
            call.add_event(event, line.at_us, line.received_us)
        for key, (record, times, _) in list(self._records.items()):
            call = changed.get(key) or calls.get(key)
            if call is None:
                call = new_call(0, key, record.provider, times.first_received_us, times.at_us)
            changed[key] = call
            if not call.add_record(record, times):
                del self._records[key]
        new = [call for call in changed.values() if not call.no]
        for call, no in zip(new, statements.numbers(len(new)), strict=True):
            call.no = no
        calls |= changed
        return list(changed.values())

    def _drop_forgotten(self, marks: Mapping[str, int]) -> None:
        """Take out what is as old as the request to forget the call. The event that tells of it stays.

        The worker takes nothing of the call for a day after it: what is a little newer has another clock.
        """
        marks = {key: at_us + SLACK_US for key, at_us in marks.items()}
        self._events = [
            line
            for line in self._events
            if line.fields.source == FORGET or line.received_us > marks.get(line.fields.key, -1)
        ]
        self._records = {
            key: line for key, line in self._records.items() if line.times.updated_us > marks.get(key, -1)
        }
        self._alerts = {
            id_: one if one.call_key is not None else _shown_without(one, marks)
            for id_, one in self._alerts.items()
            if one.call_key is None or one.updated_us > marks.get(one.call_key, -1)
        }


def _shown_without(alert: AlertValues, marks: Mapping[str, int]) -> AlertValues:
    return alert._replace(body=without_forgotten(alert.body, marks) or alert.body)


def _values(line: _EventLine, call: CallRow) -> EventValues:
    number = line.fields.sequence_number
    return EventValues(
        call.day, call.no, line.fields.id, line.at_us, LAST if number is None else number, line.body
    )
