"""Fixtures of the archive's tests: one PostgreSQL for the run, and an archive of each kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.archive.reader import Archive
from tests.archive.kept import Keeper, an_archive
from tests.archive.real_postgresql import RealPostgresql, binaries


@pytest.fixture(scope="session")
def postgresql() -> Iterator[RealPostgresql]:
    programs = binaries()
    if programs is None:
        assert "CALLSTREAM_REQUIRE_TOOLS" not in os.environ, "PostgreSQL is not installed"
        pytest.skip("PostgreSQL is not installed: Debian's package is `postgresql`")
    server = RealPostgresql(programs)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty archive may be: a folder for SQLite's file, or the URL of a database."""
    if request.param == "sqlite":
        return tmp_path
    server: RealPostgresql = request.getfixturevalue("postgresql")
    return server.database()


@pytest.fixture
def kept(where: Path | str) -> Iterator[tuple[Keeper, Archive]]:
    with an_archive(where) as both:
        yield both
