"""Why the embedded broker cannot run, in words for the person who started it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.service.data_dir import DataDirError, file_errors


class BrokerError(Exception):
    """The embedded broker cannot run. The message says what is missing and what to do."""


class PortTaken(BrokerError):
    """Another program listens at the broker's port."""


@contextmanager
def broker_file_errors(path: Path) -> Iterator[None]:
    """Turns an error about the broker's files at `path` into a BrokerError."""
    try:
        with file_errors(path):
            yield
    except DataDirError as error:
        raise BrokerError(f"{error}, {WITHOUT_IT}") from None


WITHOUT_IT = "or set CALLSTREAM_KAFKA to a cluster that is there already"
