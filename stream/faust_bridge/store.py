"""The table's states by partition (`engine.states.States`), in memory or in RocksDB, as Faust's stores."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import faust
from faust.stores import memory, rocksdb
from faust.types import TP
from faust.types.stores import StoreT

from stream.engine.states import DictStates, States
from stream.engine.status import EX_IOERR, end_process
from stream.service.data_dir import DataDirError, explain

ROCKSDB_OPTIONS: Mapping[str, int] = {
    # For each partition; Faust's own come to gigabytes with twelve of them.
    "write_buffer_size": 8 << 20,
    "max_write_buffer_number": 2,
    "block_cache_size": 8 << 20,
}


log = logging.getLogger("callstream.faust")


class MemoryStates(memory.Store):
    """Faust's store in memory, with a dict for each partition.

    Faust's own is one dict for all partitions and forgets only the keys that it recovered.
    """

    logger = log

    def __post_init__(self) -> None:
        super().__post_init__()
        self.states = DictStates()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop the revoked partitions."""
        for tp in revoked:
            if tp.topic in self.table.changelog_topic.topics:
                self.states.drop(tp.partition)


class RocksStates(rocksdb.Store):
    """Faust's RocksDB for each partition. States and position change in one write batch.

    A disk that takes no writes ends the process: neither a retry nor a restart would change that.
    """

    logger = log

    @property
    def states(self) -> States:
        return self

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        return cast(Callable[[bytes], bytes | None], self._db_for_partition(partition).get)

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        db, last = self._db_for_partition(partition), None
        try:
            for key, state in db.items():
                last = key
                if key != self.offset_key:
                    yield key, state
            _check_complete(db, last)
        except Exception as error:
            if not _is_damaged(error):
                raise
            # The recovery is over, and iterators still hold the database: only another process begins anew.
            path = self.partition_path(partition)
            with _on_disk(path):
                shutil.rmtree(path)
            end_process(f"{_DAMAGED % path} at the next start")

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int) -> None:
        batch = rocksdb.rocksdict.WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, state in states.items():
            if state is None:
                delete(key)
            else:
                put(key, state)
        put(self.offset_key, b"%d" % (position - 1))  # Faust keeps the last offset, not the next
        with _on_disk(self.partition_path(partition)):
            self._db_for_partition(partition).write(batch)

    def _open_for_partition(self, partition: int) -> Any:
        """Extends faust.stores.rocksdb.Store._open_for_partition."""
        path = self.partition_path(partition)
        with _on_disk(path):
            try:
                return super()._open_for_partition(partition)
            except Exception as error:
                if not _is_damaged(error):
                    raise
                log.error(_DAMAGED, path)
                rocksdb.rocksdict.Rdict.destroy(str(path))
                return super()._open_for_partition(partition)

    def position(self, partition: int) -> int | None:
        last = self.persisted_offset(TP("", partition))
        return None if last is None else last + 1

    def clear(self, partition: int) -> None:
        db: Any = self._dbs.pop(partition, None)
        if db is not None:
            db.close()
        with _on_disk(self.partition_path(partition)), suppress(FileNotFoundError):
            rocksdb.rocksdict.Rdict.destroy(str(self.partition_path(partition)))

    def count(self, partition: int) -> int:
        db: Any = self._db_for_partition(partition)
        return int(db.property_int_value("rocksdb.estimate-num-keys") or 0)


_DAMAGED = "the states in %s are damaged: removed, they are read from the changelog again"


def _is_damaged(error: Exception) -> bool:
    """Whether a checksum is wrong or a file is missing, after a power cut or a fault of the disk."""
    return str(error).startswith("Corruption")


def _check_complete(db: Any, last: bytes | None) -> None:
    """Raises what ended the reading of all entries: rocksdict ends it without a word where one is damaged."""
    iterator = db.iter()
    if last is None:
        iterator.seek_to_first()
    else:
        iterator.seek(last)
        iterator.next()
    iterator.status()


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    """Ends the process where the block's error is about the disk, and says what an operator can do."""
    try:
        yield
    except Exception as error:
        reason = explain(error)
        if reason is None:
            raise
        end_process(str(DataDirError(path, reason)), EX_IOERR)


class StateTable(faust.Table):
    """A Faust table whose states the lanes write and the recovery reads, by partition."""

    logger = log

    @property
    def states(self) -> States:
        """The states, by partition."""
        return cast("MemoryStates | RocksStates", self.data).states

    def _new_store(self) -> StoreT:
        """Replaces faust.tables.base.Collection._new_store: Faust's stores are not by partition."""
        kind, url, options = MemoryStates, "memory://", None
        if self.app.conf.store.scheme == "rocksdb":
            kind, url, options = RocksStates, "rocksdb://", dict(ROCKSDB_OPTIONS)
        return cast(
            "StoreT[Any, Any]",
            kind(
                url,
                self.app,
                self,
                table_name=self.name,
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
                options=options,
            ),
        )

    def apply_changelog_batch(self, batch: Any) -> None:
        """Replaces faust.tables.base.Collection.apply_changelog_batch: `Lanes.recover` applies records."""
