"""How many connections a reader of the archive has, and a file that is not one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from stream.archive import service
from stream.archive.database import connect, reason_of
from stream.archive.questions import ArchiveError, CallFilter
from stream.archive.reader import Archive, open_archive
from stream.archive.service import ArchiveRole
from stream.archive.store.migrate import migrate
from stream.service.settings import Settings


def test_as_many_readers_as_asked_for_are_connected_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.sqlite'}"
    writer, engine = connect(url, reads_only=False), connect(url, reads_only=True, readers=30)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        stack.callback(writer.dispose)
        stack.enter_context(writer.connect())  # the file is made
        for _ in range(30):
            stack.enter_context(engine.connect())


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_text("of another program\n" * 100)
    archive = open_archive(f"sqlite:///{tmp_path / 'archive.sqlite'}")
    with pytest.raises(ArchiveError, match="does not answer: its file is not a database of SQLite"):
        archive.calls(CallFilter())
    archive.close()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_rebuild_of_a_damaged_file_says_what_to_do_in_the_form_of_the_log(
    log_format: str, tmp_path: Path
) -> None:
    (tmp_path / "archive.sqlite").write_text("of another program\n" * 100)
    environ = {
        **os.environ,
        "CALLSTREAM_DATA_DIR": str(tmp_path),
        "CALLSTREAM_KAFKA": "127.0.0.1:1",
        "CALLSTREAM_LOG_FORMAT": log_format,
    }
    command = [sys.executable, "-m", "stream.cli", "archive", "--rebuild"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    said = json.loads(done.stderr)["message"] if log_format == "json" else done.stderr
    assert "the archive's file is damaged (SQLITE_NOTADB): move it away" in said
    assert done.returncode == 2


def test_a_file_in_the_place_of_another_is_read(tmp_path: Path) -> None:
    path = tmp_path / "archive.sqlite"
    reader, writer = (connect(f"sqlite:///{path}", reads_only=only) for only in (True, False))
    migrate(writer)
    archive = Archive(reader)
    assert archive.calls(CallFilter()).items == []
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(ArchiveError, match="it has no file yet"):
        archive.calls(CallFilter())
    with pytest.raises(OperationalError, match="no such table"), writer.begin() as connection:
        connection.execute(text("DELETE FROM calls"))  # in the new file, not in one that nobody can open
    migrate(writer)
    assert archive.calls(CallFilter()).items == []
    archive.close()
    writer.dispose()


def test_what_a_database_of_sqlite_refuses_is_named(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'archive.sqlite'}", reads_only=False)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(OperationalError) as refused:
            connection.execute(text("CREATE TABLE more (a)"))
    assert reason_of(refused.value) == "SQLITE_FULL"
    engine.dispose()


@pytest.mark.parametrize("at", ["migrating", "writing"])
async def test_a_role_that_stops_closes_the_connection_that_it_still_uses(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, opened, closed = threading.Event(), list[object](), list[object]()

    def slow(engine: Engine) -> None:
        with engine.begin():
            began.set()
            time.sleep(0.3)

    role = ArchiveRole(Settings(kafka="127.0.0.1:1", data_dir=tmp_path))
    event.listen(role._engine, "connect", lambda one, _: opened.append(one))
    event.listen(role._engine, "close", lambda one, _: closed.append(one))
    monkeypatch.setattr(service, "migrate", slow)
    work = role.start() if at == "migrating" else role._consumer.in_thread(partial(slow, role._engine))
    working = asyncio.create_task(work)
    await asyncio.to_thread(began.wait)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await role.close()
    await asyncio.sleep(0.5)
    assert closed == opened != []


@pytest.mark.parametrize("url", ["sqlite:///archive.sqlite", "postgresql://localhost/archive"])
def test_the_connections_of_both_databases_are_kept(url: str) -> None:
    pool = connect(url, reads_only=True, readers=30).pool
    assert isinstance(pool, QueuePool)
    assert pool.size() == 30
