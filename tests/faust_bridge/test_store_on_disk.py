"""A store whose disk takes no writes ends the worker with a sentence: no other try and no restart helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faust.stores.rocksdb import RocksDBOptions

from stream.faust_bridge import store
from stream.faust_bridge.store import ROCKSDB_OPTIONS, RocksStates

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

    def end(reason: str, code: int = 75) -> None:
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


def test_what_is_not_about_the_disk_goes_its_way(ended: list[tuple[str, int]]) -> None:
    text = "IO error: While lock file: x: Resource temporarily unavailable"
    with pytest.raises(Exception, match=text):
        open_(Store(Exception(text), opens=False))
    assert ended == []


STATES = {b"twilio:CA%04d" % number: b"%0100d" % number for number in range(1000)}


class RealStore(RocksStates):
    """RocksDB, without Faust around it."""

    def __init__(self, directory: Path) -> None:
        self._dbs = {}
        self.rocksdb_options = RocksDBOptions(**ROCKSDB_OPTIONS)
        self.read_only = False
        self._directory = directory

    def partition_path(self, partition: int) -> Path:
        return self._directory / f"calls-{partition}.db"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The directory of a store that was closed."""
    states = RealStore(tmp_path)
    states.write(3, STATES, 1000)
    db: Any = states._dbs.pop(3)
    db.flush()
    db.close()
    return tmp_path


def damage(directory: Path, pattern: str) -> None:
    (file,) = directory.glob(f"calls-3.db/{pattern}")
    whole = file.read_bytes()
    half = len(whole) // 2
    file.write_bytes(whole[:half] + bytes(200) + whole[half + 200 :])


def test_all_states_of_a_partition_are_read_and_nothing_else(written: Path) -> None:
    states = RealStore(written)
    assert (states.position(3), dict(states.items(3))) == (1000, STATES)
    assert (states.position(4), dict(states.items(4))) == (None, {})


def test_a_store_that_cannot_be_opened_because_it_is_damaged_is_empty(
    written: Path, ended: list[tuple[str, int]]
) -> None:
    damage(written, "MANIFEST-*")
    states = RealStore(written)
    assert states.position(3) is None, "so that its changelog is read from the beginning"
    states.write(3, {b"twilio:CA1": b"state"}, 7)
    assert (states.position(3), dict(states.items(3)), ended) == (7, {b"twilio:CA1": b"state"}, [])


def test_a_damaged_state_is_not_taken_for_the_last_one(written: Path, ended: list[tuple[str, int]]) -> None:
    damage(written, "*.sst")
    with pytest.raises(Ended):
        dict(RealStore(written).items(3))
    path = written / "calls-3.db"
    why = f"the states in {path} are damaged: removed, they are read from the changelog again"
    assert ended == [(f"{why} at the next start", 75)]
    assert not path.exists()
