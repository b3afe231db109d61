"""Writes records of the topics into the archive: each once, with the offsets, in one transaction.

A partition's offset is changed only if the database still holds the one from which the batch was read. A
writer that was thought dead, and whose partition another has taken, so changes nothing (`FencedError`).
So does a writer whose database has forgotten something.
Synchronous: the caller gives it a thread.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from stream.archive.rows import LAST, CallRow, day_of, new_call
from stream.archive.store.checkpoints import Checkpoints
from stream.archive.store.sqlite_statements import SqliteStatements
from stream.archive.store.statements import AlertValues, EventValues, Statements, check_topics
from stream.archive.writing.decoded_batch import DecodedBatch, EventLine, TopicRecord
from stream.archive.writing.samples import shown_in, without_forgotten
from stream.core.forgetting import FORGET
from stream.core.timestamps import SECOND_US

WAITED_TOO_LONG = "55P03"
"""PostgreSQL's code of a statement that another transaction held up."""

SLACK_US = 600 * SECOND_US
"""Of the clocks of those who write times: the gateways, the pollers, and the one who has a call forgotten."""

log = logging.getLogger("callstream.archive")


class FencedError(Exception):
    """The database holds another offset of a partition than this writer: nothing of the batch was written."""


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
        self._checkpoints = Checkpoints(engine)

    def begin(
        self, partitions: Collection[tuple[str, int]], ids: Mapping[str, str] = MappingProxyType({})
    ) -> dict[tuple[str, int], int]:
        """From where each (topic, partition) is to be read: 0 where nothing was written yet.

        - `ids`: those of the topics, as far as they are known.

        Raises RecreatedError, SQLAlchemyError.
        """
        with self._transaction() as statements:
            check_topics(statements, ids)
            statements.begin_offsets(partitions)
            found = statements.offsets(sorted({topic for topic, _ in partitions}))
            return {one: found[one] for one in partitions}

    def write(
        self,
        records: Iterable[TopicRecord],
        spans: Mapping[tuple[str, int], OffsetRange],
        others: Mapping[tuple[str, int], int] = MappingProxyType({}),
        *,
        is_durable: bool = True,
    ) -> WrittenBatch:
        """Write a batch and its offsets.

        - `spans`: of each (topic, partition) of the batch, and of the other topics' partitions of the same
          number: one writer has them all, and each of its transactions holds them all, so that no two change
          one call at once.
        - `others`: where the writer is in the partitions that it has besides. A server that took the place of
          another may lack what was written last, and nothing may come that would show it.
        - `is_durable`: whether it is on the disk when this returns, with all that was written before.
          Otherwise a crash of the server may take it back, with its offsets: the next batch shows it.

        Raises FencedError; SQLAlchemyError if the database refuses, then nothing is written.
        """
        batch = DecodedBatch(records)
        self._checkpoints.wrote(len(batch.events))
        with self._transaction(is_durable=is_durable) as statements:
            for (topic, partition), span in sorted(spans.items()):
                if not statements.advance(topic, partition, span.first, span.end):
                    raise _fenced(topic, partition, span.first)
            found = statements.offsets(sorted({topic for topic, _ in others})) if others else {}
            for (topic, partition), offset in others.items():
                if found.get((topic, partition)) != offset:
                    raise _fenced(topic, partition, offset)
            merge = _Merge(batch, statements)
            return WrittenBatch(merge.write(), batch.skipped, merge.forgotten)

    def _end_silent_writers(self) -> None:
        """What they hold would stay locked for as long as they are silent."""
        with self._transaction() as statements:
            ended = statements.end_silent_writers()
        if ended:
            log.warning(
                "sessions of the database that held up the archive and were silent have been ended: %d", ended
            )

    @contextmanager
    def _transaction(self, *, is_durable: bool = True) -> Iterator[Statements]:
        """A transaction. What the driver raises in it is an SQLAlchemyError, as at its begin and its end.

        What was held up by a writer that is silent may be tried again.
        """
        driver: Any = self.engine.dialect.loaded_dbapi
        try:
            with self.engine.begin() as connection:
                try:
                    statements = _statements_of(connection)
                    statements.prepare(is_durable=is_durable)
                    yield statements
                except driver.Error as error:
                    raise DBAPIError(None, None, error) from None
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == WAITED_TOO_LONG:
                self._end_silent_writers()
            raise


def _fenced(topic: str, partition: int, offset: int) -> FencedError:
    return FencedError(f"{topic}[{partition}] is no longer at offset {offset}")


def _statements_of(connection: Connection) -> Statements:
    """The statements of a transaction that has begun."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return SqliteStatements(driver)
    # Not with the module: PostgreSQL's driver is an extra.
    module = importlib.import_module("stream.archive.store.postgresql_statements")
    statements: Statements = module.PostgresqlStatements(driver)
    return statements


class _Merge:
    """A batch on its way into the tables, which may hold some of it already. The batch stays as it is."""

    def __init__(self, batch: DecodedBatch, statements: Statements) -> None:
        self._statements = statements
        self._batch = batch
        self._events = batch.events
        self._records = batch.records
        self._alerts = batch.alerts
        self.forgotten = 0

    def write(self) -> dict[str, int]:
        """How many rows are new or newer, by the role of the topic."""
        statements = self._statements
        if self._batch.forgotten:
            self._forget()
        keys = self._keys()
        about = {one.call_key for one in self._alerts.values() if one.call_key is not None}
        shown = {key for one in self._alerts.values() if one.call_key is None for key in shown_in(one.body)}
        if shown:
            statements.share_forgetting()
            about |= shown
        marks = statements.forgotten_of(keys | about)
        if marks:
            self._drop_forgotten(marks)
            keys = self._keys()
        calls = statements.calls_of(keys)
        changed = self._fold(calls)
        statements.put_calls(changed)
        statements.put_codes(changed)
        records = statements.put_records(
            [
                (calls[key].no, calls[key].day, line.fields.revision, line.body)
                for key, line in self._records.items()
            ]
        )
        events = statements.put_events([_values(line, calls[line.fields.key]) for line in self._events])
        loose = statements.put_loose_events(
            [
                (
                    line.fields.key,
                    line.fields.id,
                    day_of(line.received_us),
                    line.fields.account,
                    line.at_us,
                    line.body,
                )
                for line in self._batch.loose
            ]
        )
        return {
            "events": events + loose,
            "ended": records,
            "alerts": statements.put_alerts(list(self._alerts.values())),
        }

    def _forget(self) -> None:
        asked = self._batch.forgotten
        self.forgotten = self._statements.forget(asked)
        marks = {key: at_us + SLACK_US for key, at_us in asked.items()}
        alerts = ((id_, without_forgotten(body, marks)) for id_, body in self._statements.condition_alerts())
        self._statements.put_alert_bodies([(body, id_) for id_, body in alerts if body is not None])

    def _keys(self) -> set[str]:
        return {line.fields.key for line in self._events} | self._records.keys()

    def _fold(self, calls: dict[str, CallRow]) -> list[CallRow]:
        """Change the rows of the calls by what is told of them. Adds the new ones to `calls`."""
        changed: dict[str, CallRow] = {}
        for line in self._events:
            event = line.fields
            call = changed.get(event.key)
            if call is None:
                call = changed[event.key] = calls.get(event.key) or new_call(
                    event.key, event.provider, line.received_us, line.at_us
                )
            call.add_event(event, line.at_us, line.received_us)
        newer = {}
        for key, said in self._records.items():
            record, times = said.fields, said.times
            call = changed.get(key) or calls.get(key)
            if call is None:
                call = new_call(key, record.provider, times.first_received_us, times.at_us)
            changed[key] = call
            if call.add_record(record, times):
                newer[key] = said
        self._records = newer
        new = [call for call in changed.values() if not call.no]
        for call, no in zip(new, self._statements.numbers(len(new)), strict=True):
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


def _values(line: EventLine, call: CallRow) -> EventValues:
    number = line.fields.sequence_number
    return EventValues(
        call.day, call.no, line.fields.id, line.at_us, LAST if number is None else number, line.body
    )
