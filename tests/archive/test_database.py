"""How many connections a reader of the archive has, and a file that is not one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool

from stream.archive.database import connect
from stream.archive.questions import ArchiveError, CallFilter
from stream.archive.reader import open_archive


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


@pytest.mark.parametrize("url", ["sqlite:///archive.sqlite", "postgresql://localhost/archive"])
def test_the_connections_of_both_databases_are_kept(url: str) -> None:
    pool = connect(url, reads_only=True, readers=30).pool
    assert isinstance(pool, QueuePool)
    assert pool.size() == 30
