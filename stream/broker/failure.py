"""What stands in the way of a broker, in words for the person who started it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.service.data_dir import DataDirError, file_errors


class BrokerError(Exception):
    """No embedded broker. The message says what is missing and what to do."""


class PortTaken(BrokerError):
    """Another program listens where the broker wanted to."""


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Raises BrokerError for what goes wrong with the broker's files at `path`."""
    try:
        with file_errors(path):
            yield
    except DataDirError as error:
        raise BrokerError(f"{error}, {WITHOUT_IT}") from None


WITHOUT_IT = "or set CALLSTREAM_KAFKA to a cluster that is there already"
