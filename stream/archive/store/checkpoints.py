"""SQLite's checkpoints, beside the writer: to wait for the disk itself would take a third of its time."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

STATEMENT = "PRAGMA wal_checkpoint(PASSIVE)"

EVENTS = 10_000
"""Between two checkpoints: about 30 MB of the log. A page that changes often is copied once."""


class Checkpoints:
    """Copies the write-ahead log into the file after many events. PostgreSQL does so by itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_needed = engine.dialect.name == "sqlite"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive-checkpoint")
        self._running: Future[None] | None = None
        self._events = 0

    def wrote(self, events: int) -> None:
        """Begin a checkpoint if one is due. Raises SQLAlchemyError if the last one failed."""
        if not self._is_needed:
            return
        self._events += events
        if self._running is not None and self._running.done():
            ended, self._running = self._running, None
            ended.result()
        if self._running is None and self._events >= EVENTS:
            self._events = 0
            self._running = self._thread.submit(self._run)

    def _run(self) -> None:
        connection = self._engine.raw_connection()  # without a transaction
        connection.detach()  # closed here, even if the engine's others have been closed meanwhile
        try:
            connection.cursor().execute(STATEMENT).fetchone()
        except sqlite3.Error as error:
            raise DBAPIError(None, None, error) from None
        finally:
            connection.close()
