"""A store whose disk takes no writes ends the worker with a sentence: no other try and no restart helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.faust_bridge import store
from stream.faust_bridge.store import RocksStates

FULL = Exception("IO error: No space left on device: While appending to file: /x/000004.log")


class Ended(BaseException):
    """As the process's end: nothing catches it."""


class Disk:
    """A database that fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, batch: Any) -> None:
        raise self.error


class Store(RocksStates):
    """Without Faust around it."""

    def __init__(self, error: Exception, *, opens: bool = True) -> None:
        self._dbs = {3: Disk(error)} if opens else {}
        self.rocksdb_options = self
        self.read_only = False
        self.error = error

    def open(self, path: Path, *, read_only: bool) -> Any:
        raise self.error

    def partition_path(self, partition: int) -> Path:
        return Path(f"/data/calls-{partition}.db")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    said: list[tuple[str, int]] = []

    def end(reason: str, code: int) -> None:
        said.append((reason, code))
        raise Ended

    monkeypatch.setattr(store, "end_process", end)
    return said


def write(states: RocksStates) -> None:
    states.write(3, {b"twilio:CA1": b"state"}, 7)


def open_(states: RocksStates) -> None:
    states.position(3)


@pytest.mark.parametrize(("what", "opens"), [(write, True), (open_, False)])
def test_a_full_disk_ends_the_worker_with_a_sentence(
    ended: list[tuple[str, int]], what: Callable[[RocksStates], None], opens: bool
) -> None:
    with pytest.raises(Ended):
        what(Store(FULL, opens=opens))
    assert ended == [
        (
            "the data directory cannot be used: /data/calls-3.db: no space is left on its device; "
            "correct it, or set CALLSTREAM_DATA_DIR to another directory",
            1,
        )
    ]


@pytest.mark.parametrize(
    "text", ["IO error: While lock file: x: Resource temporarily unavailable", "Corruption: x"]
)
def test_what_is_not_about_the_disk_goes_its_way(ended: list[tuple[str, int]], text: str) -> None:
    with pytest.raises(Exception, match=text):
        open_(Store(Exception(text), opens=False))
    assert ended == []
