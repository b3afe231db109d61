"""Which alerts make one notification, and when it is due. Pure: time is an argument.

- A condition (a failing endpoint, many failures of one code) is announced at once when it opens, ends or
  changes its severity, else once an interval.
- Facts about calls of one rule and account are collected, and announced once an interval, with their number
  and three of them.
- A route sends a limited number of notifications a minute. What is due waits, the most severe first, and
  grows; nothing is left out.
- What waits of one group is one notification, by the route of its most severe alert: of two, the last one
  could say what is no longer true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream.core.alerting.rules import SEVERITIES
from stream.core.identity import name_id
from stream.notify.alert import EXAMPLES, FIRING, RESOLVED, NotifiedGroup, ReceivedAlert, route_of
from stream.notify.firing import Firing, remember
from stream.service.tables.notify_tables import RouteSetting

MINUTE_S = 60.0

_RANK: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class TakenAlert(NamedTuple):
    """An alert, the record that it came in, and what is called when nothing is left to do for it."""

    alert: ReceivedAlert
    record: Any
    done: Callable[[], None]


@dataclass(frozen=True)
class Notification:
    """What a sink is told at once about one group.

    - `alerts`: the newest, at most EXAMPLES. `fired`, `resolved`: episodes of this notification;
      `occurrences`: how often they were seen.
    - `firing_now`: how many of the group are firing. `state`: `resolved` where none is, by what the sink is
      told: one that keeps nothing open is not told that a call has settled.
    - `id`: a function of the alerts: the same for each attempt to send the same ones.
    """

    id: str
    route: str
    group: NotifiedGroup
    state: str
    severity: str
    alerts: Sequence[ReceivedAlert]
    fired: int
    resolved: int
    firing_now: int
    occurrences: int
    starts_at: str
    updated_at: str

    @property
    def tells_of_an_end(self) -> bool:
        """Others of the group may still fire."""
        return self.state != FIRING or not self.fired


class PendingGroup:
    """Alerts of one group that wait for one notification, in the order in which they came.

    `tried_s`: when the sink did not take the first `tried` of them for the first time, None before;
    `failures`: how often since it last took anything.
    """

    def __init__(self, route: RouteSetting, group: NotifiedGroup, first_s: float) -> None:
        self.route = route
        self.group = group
        self.first_s = first_s
        self.taken: list[TakenAlert] = []
        self.routed_rank = len(_RANK) + 1  # of the alert by whose route it goes
        self.tried_s: float | None = None
        self.tried = 0
        self.failures = 0

    @property
    def rank(self) -> int:
        return min(_rank(one.alert) for one in self.taken)

    def notification(self, firing: Firing[str]) -> Notification:
        newest: dict[str, ReceivedAlert] = {}
        for one in self.taken:
            newest.pop(one.alert.episode_id, None)
            newest[one.alert.episode_id] = one.alert
        by_fingerprint = {one.fingerprint: one for one in newest.values()}
        known = firing.count(self.group.key) - sum(map(firing.is_firing, by_fingerprint))
        told = known + sum(one.is_firing for one in by_fingerprint.values())
        state = FIRING if told > 0 else RESOLVED
        alerts = [*reversed(newest.values())]
        shown = sorted(alerts, key=lambda one: (one.state != state, _rank(one)))
        return Notification(
            id=name_id("notification", self.route.name, self.group.key, [one.alert.id for one in self.taken]),
            route=self.route.name,
            group=self.group,
            state=state,
            severity=SEVERITIES[min(self.rank, len(SEVERITIES) - 1)],
            alerts=shown[:EXAMPLES],
            fired=len({one.alert.episode_id for one in self.taken if one.alert.is_firing}),
            resolved=sum(not one.is_firing for one in alerts),
            firing_now=max(known + sum(map(firing.fires, by_fingerprint.values())), 0),
            occurrences=sum(one.occurrences for one in alerts),
            starts_at=min(one.starts_at for one in alerts),
            updated_at=max(one.updated_at or one.starts_at for one in alerts),
        )


class _Seen(NamedTuple):
    """The last revision of an episode, and its rank; _UNTOLD if it has ended."""

    revision: int
    rank: int


_UNTOLD = len(_RANK) + 1
"""Beneath all severities: a fact that fires is news."""

_UNSEEN = _Seen(0, _UNTOLD)


class _Announced(NamedTuple):
    state: str
    severity: str
    at_s: float


class Grouping:
    """The alerts of one sink that wait.

    - `routes`: of this sink.
    - `closes`: the sink is also told of facts that were settled, to close what it has opened.
    - `crowded`: too many wait, and reading has paused. Nothing is collected then: a page may be behind them.
    """

    def __init__(self, routes: Sequence[RouteSetting], *, closes: bool) -> None:
        self._routes = routes
        self._closes = closes
        self.crowded = False
        self._pending: dict[str, PendingGroup] = {}
        self._seen: dict[str, _Seen] = {}
        self._announced: dict[tuple[str, str], _Announced] = {}
        self._sent_s: dict[str, deque[float]] = {one.name: deque(maxlen=one.per_minute) for one in routes}

    def add(self, taken: TakenAlert, now_s: float) -> str:
        """`waiting`, `unrouted` or `repeated`: nothing is left to do for an alert of the latter two."""
        alert = taken.alert
        route = self._route_of(alert)
        if route is None:
            return "unrouted"
        if not _is_news(alert, self._seen.get(alert.episode_id, _UNSEEN)):
            return "repeated"
        rank = _rank(alert) if alert.is_firing else _UNTOLD
        remember(self._seen, alert.episode_id, _Seen(alert.revision, rank))
        pending = self._pending.setdefault(alert.group.key, PendingGroup(route, alert.group, now_s))
        if _rank(alert) < pending.routed_rank:
            pending.route, pending.routed_rank = route, _rank(alert)
        pending.taken.append(taken)
        return "waiting"

    def _route_of(self, alert: ReceivedAlert) -> RouteSetting | None:
        """An end goes where the beginning went: the severity may have changed."""
        if alert.is_firing:
            return route_of(alert, self._routes)
        if alert.is_settled and not self._closes:
            return None
        pending = self._pending.get(alert.group.key)
        for one in self._routes:
            is_known = (one.name, alert.group.key) in self._announced
            is_known = is_known or (pending is not None and pending.route is one)
            # Others may have the group, too: accounts with one name, of which the route takes one.
            takes = route_of(alert, [one], any_severity=True) is not None
            if is_known and takes and not _is_beneath(alert, one):
                return one
        # A process that has just begun does not know what was announced. An end of what nobody opened does no
        # harm, but those of all facts would fill the route.
        any_severity = self._closes and not alert.is_about_a_call
        return route_of(alert, self._routes, any_severity=any_severity)

    def take_due(self, now_s: float) -> PendingGroup | None:
        """Removes and returns the most urgent group that may be sent now. One that the sink has not taken
        lets the others go first: it may be the only one that the sink does not take.
        """
        due = [
            (one.failures, one.rank, one.first_s, key)
            for key, one in self._pending.items()
            if max(self._due_s(one), self._route_free_s(one.route)) <= now_s
        ]
        return self._pending.pop(min(due)[-1]) if due else None

    def next_s(self) -> float | None:
        """When the next group is due; None if none waits."""
        times = [max(self._due_s(one), self._route_free_s(one.route)) for one in self._pending.values()]
        return min(times, default=None)

    def _due_s(self, pending: PendingGroup) -> float:
        alert, route = pending.taken[-1].alert, pending.route
        before = self._announced.get((route.name, pending.group.key))
        if self.crowded:
            return pending.first_s
        if alert.is_about_a_call:
            collected_s = pending.first_s + route.wait_s
            return collected_s if before is None else max(collected_s, before.at_s + route.interval_s)
        if before is None or (before.state, before.severity) != (alert.state, alert.severity):
            return pending.first_s
        return max(pending.first_s, before.at_s + route.interval_s)

    def _route_free_s(self, route: RouteSetting) -> float:
        sent = self._sent_s[route.name]
        return sent[0] + MINUTE_S if len(sent) == route.per_minute else 0.0

    def sent(self, pending: PendingGroup, now_s: float) -> None:
        """The sink has taken it."""
        newest = pending.taken[-1].alert
        key = pending.route.name, pending.group.key
        remember(self._announced, key, _Announced(newest.state, newest.severity, now_s))
        self._sent_s[pending.route.name].append(now_s)
        for one in self._pending.values():
            one.failures = 0

    def given_up(self, pending: PendingGroup) -> None:
        """Its alerts are dead letters: they are news again if somebody writes them back."""
        for one in pending.taken:
            seen = self._seen.get(one.alert.episode_id)
            if seen is not None and seen.revision == one.alert.revision:
                del self._seen[one.alert.episode_id]

    def put_back(self, pending: PendingGroup) -> None:
        """The sink has not taken it: it waits again, with what has come meanwhile."""
        pending.failures += 1
        later = self._pending.get(pending.group.key)
        if later is not None:
            pending.route = later.route if later.rank < pending.rank else pending.route
            pending.taken += later.taken
        pending.routed_rank = pending.rank
        self._pending[pending.group.key] = pending

    def forget(self) -> None:
        """Drop what waits: other processes read it again."""
        self._pending.clear()
        self._seen.clear()


def _is_news(alert: ReceivedAlert, seen: _Seen) -> bool:
    """Whether a revision says more than the one before. A fact that is confirmed or seen again does not, one
    that is true again after its end does: it continues its episode.
    """
    if alert.is_about_a_call and alert.is_firing and _rank(alert) >= seen.rank:
        return False
    return alert.revision > seen.revision


def _is_beneath(alert: ReceivedAlert, route: RouteSetting) -> bool:
    """Whether a fact was never severe enough for a route: the severity of an episode only rises."""
    least = max((_RANK[severity] for severity in route.severities), default=len(_RANK))
    return alert.is_about_a_call and _rank(alert) > least


def _rank(alert: ReceivedAlert) -> int:
    return _RANK.get(alert.severity, len(_RANK))
