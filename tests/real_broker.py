"""A real Kafka broker that tests can break. Each test finds it repaired."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from stream.broker import Broker, start
from stream.broker.ports import free_port
from stream.service.settings import Settings


class RealBroker:
    """Kafka at one address: it can be killed, stopped, frozen and repaired."""

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
        """Like a power cut. Returns when it has ended."""
        os.kill(self._broker.pid, signal.SIGKILL)
        self._broker.stop()

    def stop(self) -> None:
        self._broker.stop()

    def restart(self) -> None:
        """Same address, same data. Returns when it answers."""
        self._broker.stop()
        self._broker = self._start()

    def freeze(self) -> None:
        """It keeps its connections and does not answer. Returns when all of its threads have stopped."""
        os.kill(self._broker.pid, signal.SIGSTOP)
        while any(_state(one) != "T" for one in Path(f"/proc/{self._broker.pid}/task").glob("*/stat")):
            time.sleep(0.005)

    def thaw(self) -> None:
        os.kill(self._broker.pid, signal.SIGCONT)

    def mend(self) -> None:
        """Make it run and answer again, whatever a test left behind."""
        if self._broker.ended():
            self.restart()
        else:
            self.thaw()

    def _start(self) -> Broker:
        return start(
            self._directory, cache=self._settings.cache_dir, libs=self._settings.kafka_libs, port=self._port
        )


def _state(stat: Path) -> str:
    """A thread's state, by its letter in `man 5 proc_pid_stat`."""
    return stat.read_text().rpartition(")")[2].split()[0]
