"""How the archive's database is reached: SQLite in the data directory, or PostgreSQL by its URL."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from stream.archive.questions import ArchiveError

FILE = "archive.sqlite"
PAGE_BYTES = 8192
"""Of SQLite's pages: an event fits into one, beside others of its call."""

LOG_PAGES = 32_768
"""Of the write-ahead log, 256 MiB: then the writer itself copies what `store.checkpoints` has not."""

CACHE_KIB = 64 * 1024
BUSY_S = 10.0
QUERY_S = 10
"""A query of a reader that takes longer is ended."""

WRITE_S = 300
"""A statement of the writer that takes longer is ended, and tried again."""

STEPS = 100_000
"""Of SQLite's machine, between two looks at the clock."""

READERS = 8
"""Connections that are kept open."""


def archive_url(configured: str, data_dir: Path) -> str:
    """The URL of the setting, else that of the file in the data directory."""
    return configured or f"sqlite:///{(data_dir / FILE).absolute()}"


def connect(url: str, *, reads_only: bool, readers: int = READERS) -> Engine:
    """The engine of a URL. It connects when it is first used. Raises ArchiveError.

    - `readers`: threads that read at once, each with a connection of its own.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed.database or "", reads_only=reads_only, readers=readers)
        if parsed.get_backend_name() == "postgresql":
            return _postgresql(url, reads_only=reads_only, readers=readers)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ArchiveError(f"the archive's URL cannot be used: {type(error).__name__}") from None
    raise ArchiveError("the archive's URL is neither of SQLite nor of PostgreSQL")


def _sqlite(path: str, *, reads_only: bool, readers: int) -> Engine:
    # A reader makes no file: an empty one would look like an archive without calls.
    file = f"file:{quote(path)}?mode={'rw' if reads_only else 'rwc'}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(file, timeout=BUSY_S, check_same_thread=False, uri=True),
        poolclass=QueuePool,
        pool_size=readers,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _file_at(path)
        # The module would begin a transaction before a change only, and a page needs one for its queries.
        connection.isolation_level = None
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if reads_only:
            connection.execute("PRAGMA query_only = ON")
            ends = record.info["ends"] = [0.0]
            connection.set_progress_handler(lambda: time.monotonic() > ends[0], STEPS)
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")

    @event.listens_for(engine, "checkout")
    def check(_: sqlite3.Connection, record: ConnectionPoolEntry, __: object) -> None:
        # A file that was deleted would be read and written on, by this process alone.
        if record.info["file"] != _file_at(path):
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if reads_only:
            connection.info["ends"][0] = time.monotonic() + QUERY_S
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _file_at(path: str) -> tuple[int, int] | None:
    """Which file has this path; None if there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _postgresql(url: str, *, reads_only: bool, readers: int) -> Engine:
    limit_s = QUERY_S if reads_only else WRITE_S
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if reads_only else {}
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=readers,
        pool_pre_ping=True,
        connect_args={**_NOTICES_ITS_END, "options": f"-c statement_timeout={limit_s}s"},
        **options,
    )


_NOTICES_ITS_END = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""For libpq: without them, a server that is gone is waited for until the kernel gives up, for hours."""


def reason_of(error: SQLAlchemyError) -> str:
    """What went wrong, without the statement and its values: `SQLITE_FULL`, `DiskFull`."""
    cause = getattr(error, "orig", None) or error
    named: str = getattr(cause, "sqlite_errorname", type(cause).__name__)
    return named
