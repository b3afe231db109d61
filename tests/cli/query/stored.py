"""An archive in a data directory, filled with what a worker writes of recorded traffic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from stream.cli.query.archive_reader import ArchiveCallReader
from tests.archive.kept import Keeper, an_archive, told_by
from tests.replay.replaying import read_trace, written_by

Told = list[tuple[str, bytes | None, bytes | None]]


@cache
def replayed_whole(trace: str) -> tuple[tuple[str, bytes | None, bytes | None], ...]:
    """All that a worker writes of a trace, with its conditions and the time that goes on behind it."""
    return tuple(told_by(written_by(read_trace(trace))))


@contextmanager
def stored(folder: Path, *traces: str) -> Iterator[tuple[Keeper, ArchiveCallReader]]:
    """The archive of the traces as the commands read it."""
    with an_archive(folder) as (keeper, archive):
        for trace in traces:
            keeper.keep(replayed_whole(trace))
        yield keeper, ArchiveCallReader(archive, "the archive")
