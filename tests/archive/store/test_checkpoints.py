"""SQLite's log is copied into the file while the writer goes on, and a copy that fails is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from stream.archive.database import FILE, archive_url, connect
from stream.archive.store import checkpoints
from stream.archive.store.checkpoints import EVENTS, Checkpoints

LIMIT_S = 30.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(archive_url("", tmp_path), reads_only=False)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE texts (body TEXT)"))
    yield engine
    engine.dispose()


def write(engine: Engine, body: str = "a" * 1_000_000) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO texts VALUES (:body)"), {"body": body})


def test_the_log_is_copied_after_many_events(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / FILE
    beside = Checkpoints(engine)
    write(engine)
    beside.wrote(EVENTS - 1)
    time.sleep(0.2)
    assert file.stat().st_size < 100_000
    beside.wrote(1)
    ends_s = time.monotonic() + LIMIT_S
    while file.stat().st_size < 1_000_000:
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_a_copy_that_fails_is_told_once_and_made_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Checkpoints(engine)
    monkeypatch.setattr(checkpoints, "STATEMENT", "PRAGMA no such")
    beside.wrote(EVENTS)
    with pytest.raises(DBAPIError):
        ask_again(beside, 1000)
    monkeypatch.undo()
    beside.wrote(EVENTS)
    ask_again(beside, 10)


def test_its_connection_is_closed_though_the_others_were_closed_before(engine: Engine) -> None:
    closed: list[object] = []
    event.listen(engine, "close_detached", closed.append)
    Checkpoints(engine).wrote(EVENTS)
    engine.dispose()
    ends_s = time.monotonic() + LIMIT_S
    while not closed:
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def ask_again(beside: Checkpoints, times: int) -> None:
    for _ in range(times):
        time.sleep(0.01)
        beside.wrote(0)
