"""The archive of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from stream.archive.database import connect
from stream.archive.reader import Archive, open_archive
from stream.archive.store.migrate import migrate
from stream.archive.store.schema import metadata
from tests.archive.kept import Keeper, an_archive
from tests.real_postgresql import RealPostgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Keeper, Archive]]:
    """An archive without rows."""
    if request.param == "sqlite":
        with an_archive(tmp_path) as both:
            yield both
    else:
        url, engine, archive = request.getfixturevalue("postgresql_archive")
        with engine.begin() as connection:
            for table in metadata.sorted_tables:
                connection.execute(table.delete())
        yield Keeper(url, engine), archive


@pytest.fixture(scope="session")
def postgresql_archive(postgresql: RealPostgresql) -> Iterator[tuple[str, Engine, Archive]]:
    """One database for all tests, and its connections: a new one takes longer than most tests."""
    url = postgresql.database()
    engine, archive = connect(url, reads_only=False), open_archive(url)
    migrate(engine)
    yield url, engine, archive
    archive.close()
    engine.dispose()
