"""Brings the tables to the form that this version needs: when a writer starts, and forward only.

Several writers may start at once: they take turns. A database that a newer version has changed is refused.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from stream.archive.questions import ArchiveError

SCRIPTS = ScriptDirectory(str(Path(__file__).parent / "migrations"))
MIGRATION_LOCK = 0x63616C6C00


def migrate(engine: Engine, to: str = "head") -> None:
    """Run the migrations that are missing. Raises ArchiveError, SQLAlchemyError."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # An index of many calls, and another writer's turn, take longer than the writer's statements may.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            # SQLite's writers already take turns.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        current = revision_of(connection)
        known = {script.revision for script in SCRIPTS.walk_revisions()}
        if current is not None and current not in known:
            raise ArchiveError(
                "a newer version of the program has written the archive: this one cannot go on with it"
            )
        context = MigrationContext.configure(
            connection, opts={"fn": lambda revision, _context: SCRIPTS._upgrade_revs(to, revision)}
        )
        with Operations.context(context):
            context.run_migrations()


def revision_of(connection: Connection) -> str | None:
    """The last migration that has run, None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()
