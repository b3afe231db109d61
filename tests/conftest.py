"""What every test may ask for: a real Kafka, started once for the whole run, and topics of its own on it.

The rule of this file: nothing outlives the run, neither the process nor its data.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.runtime.broker import Broker, start
from stream.runtime.broker.ports import free_port
from stream.runtime.settings import Settings, load


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the broker is marked so and comes last: a slip elsewhere is told within seconds."""
    for item in items:
        if "broker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.broker)
    items.sort(key=lambda item: item.get_closest_marker("broker") is not None)


class RealBroker:
    """Kafka at one address, with the ways it can go wrong. Each test finds it mended."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._port = free_port()
        self._broker: Broker = self._start()

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    @property
    def pid(self) -> int:
        """Of the Java process."""
        return self._broker.pid

    @property
    def log(self) -> Path:
        return self._directory / "broker.log"

    def kill(self) -> None:
        """As a power cut does; returns when it is gone."""
        os.kill(self._broker.pid, signal.SIGKILL)
        self._broker.stop()

    def stop(self) -> None:
        self._broker.stop()

    def restart(self) -> None:
        """The same address, the same data; returns when it answers."""
        self._broker.stop()
        self._broker = self._start()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        os.kill(self._broker.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._broker.pid, signal.SIGCONT)

    def mend(self) -> None:
        """Runs and answers again, whatever a test left behind."""
        if self._broker.ended():
            self.restart()
        else:
            self.thaw()

    def _start(self) -> Broker:
        return start(
            self._directory, cache=self._settings.cache_dir, libs=self._settings.kafka_libs, port=self._port
        )


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
