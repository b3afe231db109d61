"""The states of the table, as the engine reads and writes them: one part for each partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from stream.engine.batch import Record


class States(Protocol):
    """The states of the table, by partition."""

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        """What looks a key up in the partition's states."""
        ...

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        """All states of the partition."""
        ...

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int | None) -> None:
        """Show committed states. `position` is the changelog offset after them, None if not known."""
        ...

    def apply(self, partition: int, records: Iterable[Record], position: int) -> None:
        """Show changelog records, up to `position`."""
        ...

    def position(self, partition: int) -> int | None:
        """The changelog offset up to which the states are right, None if nothing is known."""
        ...

    def clear(self, partition: int) -> None:
        """Forget the partition."""
        ...

    def count(self, partition: int) -> int:
        """About how many states the partition has."""
        ...
