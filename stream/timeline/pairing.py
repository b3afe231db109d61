"""Which event of `calls.events.v1` an item of a call record's timeline is.

The record says who has seen an event, the event what it was. They share no id: an item is found by what
identifies it. An item without an event (no longer kept) and an event without an item (newer than the record)
stay as they are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

Said = dict[str, Any]
_LOGS = frozenset({"insights", "request_log"})
"""Families whose time is part of their identity: another time is another event."""


def _exactly(one: Said) -> tuple[Any, ...]:
    return (*_by_name(one), one.get("status"), one.get("level"), one.get("occurred_at"))


def _by_name(one: Said) -> tuple[Any, ...]:
    return one.get("family"), one.get("name"), one.get("sequence_number"), one.get("edge")


def _by_number(one: Said) -> tuple[Any, ...] | None:
    """Another source may have given an earlier time, or a status that counts more."""
    return None if one.get("sequence_number") is None else (*_by_name(one)[::2], one.get("status"))


def _by_name_of_no_log(one: Said) -> tuple[Any, ...] | None:
    return None if one.get("family") in _LOGS else _by_name(one)


_PASSES: tuple[Callable[[Said], tuple[Any, ...] | None], ...] = (_exactly, _by_number, _by_name_of_no_log)


def pairs(items: list[Said], events: list[Said]) -> Iterator[tuple[Said | None, Said | None]]:
    """Each item with its event, either None where it has none; every item and every event once."""
    left_items, left_events = list(range(len(items))), list(range(len(events)))
    for identity in _PASSES:
        waiting: dict[tuple[Any, ...], deque[int]] = defaultdict(deque)
        for position in left_events:
            if (known := identity(events[position])) is not None:
                waiting[known].append(position)
        unpaired, taken = [], set()
        for position in left_items:
            known = identity(items[position])
            if known is not None and waiting.get(known):
                taken.add(event := waiting[known].popleft())
                yield items[position], events[event]
            else:
                unpaired.append(position)
        left_items = unpaired
        left_events = [position for position in left_events if position not in taken]
    yield from ((items[position], None) for position in left_items)
    yield from ((None, events[position]) for position in left_events)
