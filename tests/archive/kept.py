"""An archive in a temporary file, and what a worker writes to its topics, for the tests of the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from sqlalchemy import Engine

from stream.archive.database import FILE, archive_url, connect
from stream.archive.reader import Archive, open_archive
from stream.archive.store.migrate import migrate
from stream.archive.writing.decoded_batch import TopicRecord
from stream.archive.writing.writer import ArchiveWriter, OffsetRange, WrittenBatch
from tests.agents.batches import TOPICS, Written
from tests.cases.playing import play
from tests.replay.replaying import read_trace

ROLE_OF = {TOPICS.events: "events", TOPICS.ended: "ended", TOPICS.alerts: "alerts"}
Told = tuple[str, bytes | None, bytes | None]
"""The role of a topic, and the key and the value of a record there."""


class Keeper:
    """A writer that is given records one batch after another, from the beginning of their partitions."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        self.writer = ArchiveWriter(engine)
        self._offsets: dict[str, Iterator[int]] = {role: count() for role in ROLE_OF.values()}

    def keep(self, records: Iterable[Told]) -> WrittenBatch:
        """Write a batch of (role, key, value)."""
        batch = [
            TopicRecord(role, f"calls.{role}.v1", 0, next(self._offsets[role]), key, value)
            for role, key, value in records
        ]
        self.writer.begin({(one.topic, one.partition) for one in batch})
        return self.writer.write(batch, spans_of(batch))


def spans_of(batch: Iterable[TopicRecord]) -> dict[tuple[str, int], OffsetRange]:
    spans: dict[tuple[str, int], OffsetRange] = {}
    for one in batch:
        first = spans.get((one.topic, one.partition), OffsetRange(one.offset, 0)).first
        spans[one.topic, one.partition] = OffsetRange(first, one.offset + 1)
    return spans


@contextmanager
def an_archive(folder: Path) -> Iterator[tuple[Keeper, Archive]]:
    """An archive in a new file of SQLite."""
    (folder / FILE).write_bytes(_file_with_tables())
    url = archive_url("", folder)
    engine, archive = connect(url, reads_only=False), open_archive(url)
    try:
        yield Keeper(url, engine), archive
    finally:
        archive.close()
        engine.dispose()


@cache
def _file_with_tables() -> bytes:
    """Made once: the migrations take longer than most tests."""
    with TemporaryDirectory() as folder:
        engine = connect(archive_url("", Path(folder)), reads_only=False)
        migrate(engine)
        engine.dispose()
        return (Path(folder) / FILE).read_bytes()


def told_by(written: Iterable[Written]) -> list[Told]:
    """What the archive reads of what a worker has written."""
    return [(ROLE_OF[one.topic], one.output.key, one.output.value) for one in written if one.topic in ROLE_OF]


@cache
def replayed(trace: str) -> list[Told]:
    """What a worker writes when it plays a trace of tests/replay."""
    return told_by(play(read_trace(trace)).written)


def values(records: Iterable[Told], role: str) -> list[Any]:
    return [orjson.loads(value) for of, _, value in records if of == role and value is not None]


def of_another(records: Iterable[Told], number: int) -> list[Told]:
    """The same of other calls, with ids of their own."""
    return [(role, _of_another(key, number), _with_own_ids(value, number)) for role, key, value in records]


def _of_another(part: bytes | None, number: int) -> bytes | None:
    return part and part.replace(b"CA0000", b"CA%04d" % number)


def _with_own_ids(value: bytes | None, number: int) -> bytes | None:
    if value is None:
        return None
    fields = orjson.loads(value.replace(b"CA0000", b"CA%04d" % number))
    for name in {"id", "episode_id"} & fields.keys():
        fields[name] = f"{number:04d}{fields[name][4:]}"
    return orjson.dumps(fields)
