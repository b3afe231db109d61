"""The states of the table, one part for each partition.

A part knows the changelog offset up to which it is right, and changes together with it. So a kept partition
is not read again from the beginning, and a lost one is forgotten whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, cast

from stream.engine.batch import Record


class States(Protocol):
    """The states of the table, by partition."""

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        """A function that looks a key up in the partition's states."""

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        """All states of the partition."""

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int | None) -> None:
        """Show committed states. `position` is the changelog offset after them, None if not known."""

    def apply(self, partition: int, records: Iterable[Record], position: int) -> None:
        """Show changelog records, up to `position`."""

    def position(self, partition: int) -> int | None:
        """The changelog offset up to which the states are right, None if nothing is known."""

    def clear(self, partition: int) -> None:
        """Forget the partition's states; a reader of them stays valid."""

    def count(self, partition: int) -> int:
        """About how many states the partition has."""


class DictStates:
    """States in memory: a dict for each partition."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[bytes, bytes]] = {}
        self._positions: dict[int, int] = {}

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        return self._part(partition).get

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        return self._part(partition).items()

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int | None) -> None:
        part = self._part(partition)
        for key, state in states.items():
            if state is None:
                part.pop(key, None)
            else:
                part[key] = state
        if position is not None:
            self._positions[partition] = position

    def apply(self, partition: int, records: Iterable[Record], position: int) -> None:
        part = self._part(partition)
        for record in records:
            key, state = cast(bytes, record.key), record.value
            if state is None:
                part.pop(key, None)
            else:
                part[key] = state
        self._positions[partition] = position

    def position(self, partition: int) -> int | None:
        return self._positions.get(partition)

    def clear(self, partition: int) -> None:
        self._part(partition).clear()
        self._positions.pop(partition, None)

    def drop(self, partition: int) -> None:
        """Forget a partition that was revoked, and free its memory."""
        self._parts.pop(partition, None)
        self._positions.pop(partition, None)

    def count(self, partition: int) -> int:
        return len(self._part(partition))

    def _part(self, partition: int) -> dict[bytes, bytes]:
        return self._parts.setdefault(partition, {})
