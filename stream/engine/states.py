"""The states of the table, one part for each partition.

A part knows the changelog offset up to which it is right, and changes together with it. So a kept partition
is not read again from the beginning, and a lost one is forgotten whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol


class States(Protocol):
    """The states of the table, by partition."""

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        """A function that looks a key up in the partition's states."""

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        """All states of the partition."""

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int) -> None:
        """Show committed states. `position` is the changelog offset after them."""

    def position(self, partition: int) -> int | None:
        """The changelog offset up to which the states are right, None if nothing is known."""

    def clear(self, partition: int) -> None:
        """Forget the partition's states; a reader of them stays valid."""

    def count(self, partition: int) -> int:
        """About how many states the partition has."""


class DictStates:
    """States in memory: a dict for each partition."""

    def __init__(self) -> None:
        self._parts: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        self._positions: dict[int, int] = {}

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        return self._parts[partition].get

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        return self._parts[partition].items()

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int) -> None:
        part = self._parts[partition]
        for key, state in states.items():
            if state is None:
                part.pop(key, None)
            else:
                part[key] = state
        self._positions[partition] = position

    def position(self, partition: int) -> int | None:
        return self._positions.get(partition)

    def clear(self, partition: int) -> None:
        self._parts[partition].clear()
        self._positions.pop(partition, None)

    def drop(self, partition: int) -> None:
        """Forget a partition that was revoked, and free its memory."""
        self._parts.pop(partition, None)
        self._positions.pop(partition, None)

    def count(self, partition: int) -> int:
        return len(self._parts[partition])
