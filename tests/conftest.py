"""Fixtures for every test: a real Kafka, started once for the whole run, and a topic prefix of its own.

Also sets how Hypothesis searches. Nothing outlives the run, neither the process nor its data.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stream.service.settings import load
from tests import searching
from tests.real_broker import RealBroker
from tests.real_postgresql import RealPostgresql, binaries

searching.register()


def pytest_configure() -> None:
    """Ctrl-C reaches the processes that tests start, even in a run that was started in the background."""
    gc.disable()  # until everything is collected
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one more than there are processors, as tests wait for a fifth of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use the broker, and run them last, so that other failures show within seconds.

    Each test searches as the profile says.
    """
    for item in items:
        if "broker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.broker)
    items.sort(key=lambda item: item.get_closest_marker("broker") is not None)
    tests = [item.obj for item in items if isinstance(item, pytest.Function)]
    searching.use(settings.get_current_profile_name(), tests)


def pytest_collection_finish() -> None:
    """The garbage collector need not look at modules and tests again and again, nor so often."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def _hooks_of_the_process() -> Iterator[None]:
    """Undo what a command installs for its whole process."""
    factory, last_resort = logging.getLogRecordFactory(), logging.lastResort
    formatter = last_resort.formatter if last_resort is not None else None
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    logging.setLogRecordFactory(factory)
    if last_resort is not None:
        last_resort.setFormatter(formatter)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks


@pytest.fixture(scope="session")
def broker_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBroker]:
    real = RealBroker(tmp_path_factory.mktemp("broker"), load(os.environ))
    try:
        yield real
    finally:
        real.stop()


@pytest.fixture
def broker(broker_of_the_run: RealBroker) -> RealBroker:
    """The run's broker, working at the start of each test."""
    broker_of_the_run.mend()
    return broker_of_the_run


_numbers = itertools.count(1)


@pytest.fixture
def prefix() -> str:
    """A topic prefix that no other test has."""
    return f"t{int(time.time()) % 1_000_000}x{os.getpid()}x{next(_numbers)}."


@pytest.fixture(scope="session")
def postgresql_programs() -> Path:
    programs = binaries()
    if programs is None:
        assert "CALLSTREAM_REQUIRE_TOOLS" not in os.environ, "PostgreSQL is not installed"
        pytest.skip("PostgreSQL is not installed: Debian's package is `postgresql`")
    return programs


@pytest.fixture(scope="session")
def postgresql(postgresql_programs: Path) -> Iterator[RealPostgresql]:
    server = RealPostgresql(postgresql_programs)
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
