"""What is firing now, from `calls.alerts.active.v1`: by fingerprint, and counted in groups.

All processes know all of it, whichever partitions of the alerts they own, and also after a restart.
What a process has read of `calls.alerts.v1` counts at once: either topic may be read later than the other,
and a sink that was told an old count is not told again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from stream.notify.alert import EXAMPLES, ReceivedAlert, route_of
from stream.service.tables.notify_tables import RouteSetting

REMEMBERED = 50_000
"""Of how many alerts or groups the last is remembered."""

K = TypeVar("K", bound=Hashable)


class FiringGroup:
    """What is firing of one group: how many, since when, and its newest alerts."""

    def __init__(self, starts_at: str) -> None:
        self.count = 0
        self.starts_at = starts_at
        self.newest: deque[ReceivedAlert] = deque(maxlen=EXAMPLES)

    def show(self, alert: ReceivedAlert) -> None:
        self.hide(alert.fingerprint)
        self.newest.append(alert)

    def hide(self, fingerprint: str) -> None:
        kept = [one for one in self.newest if one.fingerprint != fingerprint]
        self.newest.clear()
        self.newest.extend(kept)


class FiringChange(NamedTuple, Generic[K]):
    """The groups of which something began to fire, and of which nothing does any more."""

    began: K | None = None
    ended: K | None = None
    was: FiringGroup | None = None


class _Version(NamedTuple):
    episode_id: str
    revision: int
    updated_at: str

    def is_before(self, other: _Version) -> bool:
        if self.episode_id == other.episode_id:
            return self.revision < other.revision
        return self.updated_at < other.updated_at


def _version(alert: ReceivedAlert) -> _Version:
    return _Version(alert.episode_id, alert.revision, alert.updated_at)


class Firing(Generic[K]):
    """`group_of`: the group of an alert; None if it is not counted."""

    def __init__(self, group_of: Callable[[ReceivedAlert], K | None]) -> None:
        self._group_of = group_of
        self._groups_of: dict[str, K] = {}
        self._observed: dict[str, _Version] = {}
        self._ahead: dict[str, _Version] = {}  # heard, and not observed yet
        self.groups: dict[K, FiringGroup] = {}

    def is_firing(self, fingerprint: str) -> bool:
        return fingerprint in self._groups_of

    def fires(self, alert: ReceivedAlert) -> bool:
        """Whether it fires, by what is newer: this record, or what is known."""
        known = self._ahead.get(alert.fingerprint) or self._observed.get(alert.fingerprint)
        is_newer = known is None or known.is_before(_version(alert))
        return alert.is_firing if is_newer else self.is_firing(alert.fingerprint)

    def count(self, group: K) -> int:
        found = self.groups.get(group)
        return found.count if found is not None else 0

    def observe(self, fingerprint: str, alert: ReceivedAlert | None) -> FiringChange[K]:
        """The newest record of a fingerprint in the topic of active alerts; None for a tombstone."""
        version = _version(alert) if alert is not None else self._end_of(fingerprint)
        if version is not None:
            remember(self._observed, fingerprint, version)
        ahead = self._ahead.get(fingerprint)
        if ahead is not None and (version is None or version.is_before(ahead)):
            return FiringChange()
        self._ahead.pop(fingerprint, None)
        return self._apply(fingerprint, alert)

    def _end_of(self, fingerprint: str) -> _Version | None:
        """That of a tombstone: what ends is the next revision of what fired."""
        before = self._observed.get(fingerprint)
        return before._replace(revision=before.revision + 1) if before is not None else None

    def hear(self, alert: ReceivedAlert) -> None:
        """The next record of a fingerprint in the topic of alerts."""
        observed, version = self._observed.get(alert.fingerprint), _version(alert)
        if observed is not None and version.is_before(observed):
            return
        self._ahead.pop(alert.fingerprint, None)
        if version != observed:
            remember(self._ahead, alert.fingerprint, version)
        self._apply(alert.fingerprint, alert)

    def _apply(self, fingerprint: str, alert: ReceivedAlert | None) -> FiringChange[K]:
        group = self._group_of(alert) if alert is not None and alert.is_firing else None
        before = self._groups_of.get(fingerprint)
        ended = was = None
        if before is not None and group != before:
            was = self._leave(before, fingerprint)
            ended = before if was is not None else None
        if group is None or alert is None:
            return FiringChange(None, ended, was)
        began = group if group not in self.groups else None
        known = self.groups.setdefault(group, FiringGroup(alert.starts_at))
        known.starts_at = min(known.starts_at, alert.starts_at)
        if group != before:
            self._groups_of[fingerprint] = group
            known.count += 1
        known.show(alert)
        return FiringChange(began, ended, was)

    def _leave(self, group: K, fingerprint: str) -> FiringGroup | None:
        """The group, if this was the last of it; it keeps its examples."""
        del self._groups_of[fingerprint]
        left = self.groups[group]
        left.count -= 1
        if left.count == 0:
            return self.groups.pop(group)
        left.hide(fingerprint)
        return None


def firing_of(routes: Sequence[RouteSetting]) -> Firing[str]:
    """What is firing of what a sink is told, in the groups of notifications.

    What none of its routes takes must not keep open there what has ended.
    """
    return Firing(lambda alert: alert.group.key if route_of(alert, routes) is not None else None)


def remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    """As the newest; the oldest is forgotten."""
    known.pop(key, None)
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
