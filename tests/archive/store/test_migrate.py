"""Migrations: they make what the queries expect, once, from every version, and never go back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from stream.archive import database
from stream.archive.database import connect
from stream.archive.questions import ArchiveError
from stream.archive.store.migrate import SCRIPTS, migrate, revision_of
from stream.archive.store.schema import metadata
from tests.real_postgresql import RealPostgresql

REVISIONS = [script.revision for script in reversed([*SCRIPTS.walk_revisions()])]


@pytest.fixture
def engine(where: Path | str) -> Iterator[Engine]:
    url = where if isinstance(where, str) else f"sqlite:///{where / 'archive.sqlite'}"
    made = connect(url, reads_only=False)
    yield made
    made.dispose()


def test_the_migrations_make_the_tables_of_the_schema(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_archive_of_every_version_is_brought_up_to_date(engine: Engine, revision: str) -> None:
    migrate(engine, revision)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO forgotten (key, day, at_us) VALUES ('twilio:CA1', 1, 2)"))
    migrate(engine)
    with engine.connect() as connection:
        assert revision_of(connection) == REVISIONS[-1]
        assert connection.execute(text("SELECT key, day, at_us FROM forgotten")).all() == [
            ("twilio:CA1", 1, 2)
        ]


def test_writers_that_start_at_once_take_turns(engine: Engine) -> None:
    faults: list[Exception] = []

    def start() -> None:
        try:
            migrate(engine)
        except Exception as error:  # noqa: BLE001  shown below
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert faults == []
    assert "calls" in inspect(engine).get_table_names()


def test_an_archive_of_a_newer_version_is_refused(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ArchiveError, match="newer version"):
        migrate(engine)


def test_a_step_may_take_longer_than_a_statement_of_the_writer(
    postgresql: RealPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WRITE_S", 1)
    engine = connect(postgresql.database(), reads_only=False)
    migrate(engine, "0002")
    with engine.begin() as connection:
        for statement in (
            "CREATE FUNCTION take_long() RETURNS event_trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_sleep(1.3); END'",
            "CREATE EVENT TRIGGER long ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
            "EXECUTE FUNCTION take_long()",
        ):
            connection.execute(text(statement))
    migrate(engine)
    with engine.connect() as connection:
        assert revision_of(connection) == REVISIONS[-1]
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "1s"
    engine.dispose()
