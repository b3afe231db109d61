"""What the writer keeps: each record once, with its offset, and nothing of a writer that was replaced."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from stream.archive.database import connect
from stream.archive.questions import AlertFilter, CallFilter
from stream.archive.reader import Archive
from stream.archive.store import postgresql_statements
from stream.archive.store.migrate import migrate
from stream.archive.writing.decoded_batch import TopicRecord
from stream.archive.writing.writer import ArchiveWriter, FencedError, OffsetRange
from stream.core.privacy.masking import SHOWN_LEVELS
from tests.archive.kept import Keeper, replayed, spans_of, values
from tests.real_postgresql import RealPostgresql

EVENTS = "calls.events.v1"


def of(records: list[tuple[str, bytes | None, bytes | None]], first: int = 0) -> list[TopicRecord]:
    return [
        TopicRecord(role, EVENTS, 0, first + n, key, value) for n, (role, key, value) in enumerate(records)
    ]


def test_what_comes_again_changes_nothing(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    written = replayed("gap-expired")
    first = keeper.keep(written)
    history = archive.call(archive.calls(CallFilter()).items[0].key)
    again = keeper.keep([*written, *written])
    assert first.rows == {
        "events": len(values(written, "events")),
        "ended": 1,
        "alerts": len({one["episode_id"] for one in values(written, "alerts")}),
    }
    assert again.rows == {"events": 0, "ended": 0, "alerts": 0}
    assert archive.call(archive.calls(CallFilter()).items[0].key) == history


def test_offsets_are_kept_with_the_rows(kept: tuple[Keeper, Archive]) -> None:
    keeper, _ = kept
    batch = of(replayed("amd")[:3])
    keeper.writer.begin([(EVENTS, 0)])
    keeper.writer.write([], {(EVENTS, 0): OffsetRange(0, 0)})
    keeper.writer.write(batch, spans_of(batch))
    assert keeper.writer.begin([(EVENTS, 0), (EVENTS, 1)]) == {(EVENTS, 0): 3, (EVENTS, 1): 0}


def test_a_writer_that_was_replaced_writes_nothing(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    events = [one for one in replayed("amd") if one[0] == "events"]
    zombie, new = keeper.writer, ArchiveWriter(keeper.writer.engine)
    zombie.begin([(EVENTS, 0)])
    zombie.write(of(events[:1]), {(EVENTS, 0): OffsetRange(0, 1)})
    new.write(of(events[1:3], 1), {(EVENTS, 0): OffsetRange(1, 3)})
    with pytest.raises(FencedError):
        zombie.write(of(events[1:], 1), {(EVENTS, 0): OffsetRange(1, len(events))})
    [call] = archive.calls(CallFilter()).items
    history = archive.call(call.key)
    assert history is not None
    assert len(history.events) == 3
    assert new.begin([(EVENTS, 0)]) == {(EVENTS, 0): 3}


def test_a_writer_notices_that_its_database_has_forgotten_something(kept: tuple[Keeper, Archive]) -> None:
    """Also where nothing new comes in the partition: a server took the place of one that had written more."""
    keeper, archive = kept
    events = [one for one in replayed("amd") if one[0] == "events"]
    keeper.writer.begin([(EVENTS, 0), (EVENTS, 1)])
    span = {(EVENTS, 0): OffsetRange(0, len(events))}
    with pytest.raises(FencedError, match="offset 5"):
        keeper.writer.write(of(events), span, {(EVENTS, 1): 5})
    assert archive.calls(CallFilter()).items == []
    keeper.writer.write(of(events), span, {(EVENTS, 1): 0})
    assert len(archive.calls(CallFilter()).items) == 1


def test_what_a_crash_takes_back_is_noticed_and_a_durable_batch_keeps_all_before_it(
    postgresql_programs: Path,
) -> None:
    # So that nobody brings its log to the disk but the commits.
    server = RealPostgresql(postgresql_programs, settings=["wal_writer_delay=10s"])
    engine = connect(server.database(), reads_only=False)
    events = [one for one in replayed("amd") if one[0] == "events"]
    first, second, third = of(events[:1]), of(events[1:2], 1), of(events[2:3], 2)
    try:
        migrate(engine)
        writer = ArchiveWriter(engine)
        writer.begin([(EVENTS, 0), (EVENTS, 1)])
        writer.write(first, spans_of(first))
        writer.write(second, spans_of(second), is_durable=False)
        server.crash()
        server.start()
        with pytest.raises(FencedError, match="offset 2"):
            writer.write(third, spans_of(third))
        with pytest.raises(FencedError, match="offset 2"):
            writer.write([], {(EVENTS, 1): OffsetRange(0, 0)}, {(EVENTS, 0): 2})
        writer.write(second, spans_of(second), is_durable=False)
        writer.write([], {(EVENTS, 0): OffsetRange(2, 2)})
        server.crash()
        server.start()
        assert writer.begin([(EVENTS, 0)]) == {(EVENTS, 0): 2}
    finally:
        engine.dispose()
        server.stop()


@pytest.mark.parametrize("takes_over", [False, True])
@pytest.mark.parametrize("is_copying", [False, True])
def test_a_writer_that_is_frozen_in_a_transaction_does_not_stop_the_next_one(
    postgresql_archive: tuple[str, Engine, Archive],
    monkeypatch: pytest.MonkeyPatch,
    is_copying: bool,
    takes_over: bool,
) -> None:
    _, engine, _ = postgresql_archive
    monkeypatch.setattr(postgresql_statements, "SILENT_S", 1)
    writer = ArchiveWriter(engine)
    first = writer.begin([(EVENTS, 7)])[EVENTS, 7]

    def go_on() -> None:
        if takes_over:
            assert writer.begin([(EVENTS, 7)]) == {(EVENTS, 7): first}
        writer.write([], {(EVENTS, 7): OffsetRange(first, first + 1)})

    with engine.connect() as connection, ExitStack() as frozen:
        frozen.callback(connection.invalidate)
        frozen.enter_context(pytest.raises(psycopg.OperationalError, match="terminating connection"))
        driver: Any = connection.connection.driver_connection
        assert postgresql_statements.PostgresqlStatements(driver).advance(EVENTS, 7, first, first + 1)
        if is_copying:
            frozen.enter_context(driver.cursor().copy("COPY staged_records FROM STDIN"))
        with pytest.raises(SQLAlchemyError, match="lock timeout"):
            go_on()
        go_on()
        if not is_copying:
            driver.execute("SELECT 1")
    assert writer.begin([(EVENTS, 7)]) == {(EVENTS, 7): first + 1}


def test_a_transaction_that_goes_on_is_waited_for(
    postgresql_archive: tuple[str, Engine, Archive],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, engine, _ = postgresql_archive
    monkeypatch.setattr(postgresql_statements, "SILENT_S", 1)
    writer = ArchiveWriter(engine)
    first = writer.begin([(EVENTS, 8)])[EVENTS, 8]
    with engine.begin() as connection, ThreadPoolExecutor(1) as thread:
        driver: Any = connection.connection.driver_connection
        assert postgresql_statements.PostgresqlStatements(driver).advance(EVENTS, 8, first, first + 1)
        busy = thread.submit(driver.execute, "SELECT pg_sleep(2)")
        with pytest.raises(SQLAlchemyError, match="lock timeout"):
            writer.begin([(EVENTS, 8)])
        busy.result()
    assert writer.begin([(EVENTS, 8)]) == {(EVENTS, 8): first + 1}
    assert caplog.text == ""


def test_a_batch_that_one_partition_refuses_is_not_written_at_all(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    events = [one for one in replayed("amd") if one[0] == "events"]
    keeper.writer.begin([(EVENTS, 0), (EVENTS, 1)])
    keeper.writer.write([], {(EVENTS, 1): OffsetRange(0, 5)})
    with pytest.raises(FencedError):
        keeper.writer.write(
            of(events),
            {(EVENTS, 0): OffsetRange(0, len(events)), (EVENTS, 1): OffsetRange(4, 6)},
        )
    assert archive.calls(CallFilter()).items == []
    assert keeper.writer.begin([(EVENTS, 0), (EVENTS, 1)]) == {(EVENTS, 0): 0, (EVENTS, 1): 5}


def test_what_cannot_be_read_is_skipped_with_its_reason(
    kept: tuple[Keeper, Archive], caplog: pytest.LogCaptureFixture
) -> None:
    keeper, archive = kept
    [good, *_] = values(replayed("amd"), "events")
    broken = [b"{", b"[]", b'{"id": 5}', orjson.dumps(good | {"received_at": "yesterday"}), b"\xff"]
    for levels in (SHOWN_LEVELS, 100_000):
        broken += [orjson.dumps(good)[:-1] + b', "x": ' + b"[" * levels + b"]" * levels + b"}"]
    with caplog.at_level(logging.WARNING):
        done = keeper.keep([("events", b"k", one) for one in [*broken, orjson.dumps(good)]])
    assert (done.skipped["events"], done.rows["events"]) == (7, 1)
    assert len(archive.calls(CallFilter()).items) == 1
    assert len(caplog.records) == 7
    assert "calls.events.v1[0] offset 0" in caplog.text


def forgotten(key: str, at: str) -> tuple[str, bytes, bytes]:
    [event, *_] = values(replayed("amd"), "events")
    told = {"source": "forget", "family": "other", "name": "forgotten", "status": None, "attributes": {}}
    event |= told | {"id": at, "key": key, "received_at": at, "occurred_at": at}
    return "events", key.encode(), orjson.dumps(event)


@pytest.mark.parametrize("order", ["records last", "events last", "one batch"])
def test_a_forgotten_call_leaves_only_the_event_that_says_so(
    kept: tuple[Keeper, Archive], order: str
) -> None:
    """The topics are read in any order."""
    keeper, archive = kept
    written = replayed("gap-expired")
    key = values(written, "ended")[0]["key"]
    said = forgotten(key, "2026-03-03T10:00:00.000000Z")
    events = [*(one for one in written if one[0] == "events"), said]
    others = [*(one for one in written if one[0] != "events"), ("ended", key.encode(), None)]
    batches = {"records last": [events, others], "events last": [others, events]}.get(
        order, [events + others]
    )
    for batch in batches:
        keeper.keep(batch)
    history = archive.call(key)
    assert history is not None
    assert (history.record, history.alerts) == (None, [])
    assert [one["name"] for one in history.events] == ["forgotten"]
    assert archive.alerts(AlertFilter()).items == []
    call = history.call
    assert (call.from_, call.to, call.status, call.outcome) == (None, None, None, None)


def test_a_call_that_is_told_of_after_it_was_forgotten_is_kept(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    written = replayed("amd")
    key = values(written, "ended")[0]["key"]
    keeper.keep([forgotten(key, "2026-03-01T10:00:00.000000Z")])
    keeper.keep(written)
    history = archive.call(key)
    assert history is not None
    assert len(history.events) == len(values(written, "events")) + 1


def test_a_text_with_the_character_0_is_kept(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    [event, *_] = values(replayed("amd"), "events")
    event |= {"session_id": "a\0b", "attributes": {"From": "x\0"}}
    keeper.keep([("events", b"k", orjson.dumps(event))])
    [call] = archive.calls(CallFilter()).items
    assert (call.session_id, call.from_) == ("a\ufffdb", "x\ufffd")
    history = archive.call(call.key)
    assert history is not None
    assert history.events == [event]


def test_a_batch_of_many_calls_is_written_as_one_of_few(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    [event, *_] = values(replayed("amd"), "events")
    events = [
        event | {"key": f"twilio:CA{n % 90:032x}", "id": f"{n:032x}", "error_code": str(n)}
        for n in range(300)
    ]
    done = keeper.keep([("events", b"k", orjson.dumps(one)) for one in [*events, *events[:100]]])
    assert done.rows["events"] == 300
    page = archive.calls(CallFilter(), 1000)
    assert len(page.items) == 90
    assert sum(len(one.error_codes) for one in page.items) == 300
    assert [one.key for one in archive.calls(CallFilter(error_code="91")).items] == [f"twilio:CA{1:032x}"]


@pytest.mark.parametrize("again", [1, 2, 3])
def test_a_call_that_began_again_keeps_what_was_known(kept: tuple[Keeper, Archive], again: int) -> None:
    """What comes after a call has left the worker's table counts its revisions from 1, and knows less."""
    keeper, archive = kept
    [told] = values(replayed("amd"), "ended")[-1:]
    lives = [(1, "first"), (2, "first"), (3, "first"), *((number + 1, "again") for number in range(again))]
    records = [told | {"revision": revision, "answered_by": life} for revision, life in lives]
    keeper.keep([("ended", told["key"].encode(), orjson.dumps(one)) for one in records])
    history = archive.call(told["key"])
    assert history is not None
    assert history.record == records[2]


def test_a_refusal_in_the_middle_of_a_batch_is_one_of_the_database(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    records = replayed("amd")
    keeper.keep(records[:1])
    with keeper.writer.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE records")
    with pytest.raises(SQLAlchemyError):
        keeper.keep(records[1:])
    assert [call.revision for call in archive.calls(CallFilter()).items] == [0]
