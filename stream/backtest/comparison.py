"""The alerts of two sets of rules, episode by episode: which are the same, and which only one of them raises.

An episode of one side belongs to one of the other side with the same id, else to one of the same condition
and scope that overlaps it. Both sides come in step, so what has been over for a while is compared and
forgotten: only numbers and a few examples are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from stream.core.alerting.alert import Alert
from stream.core.alerting.rules import SEVERITIES, Severity
from stream.core.timestamps import SECOND_US, instant

Side = Literal["current", "candidate"]
SIDES: tuple[Side, ...] = get_args(Side)
Change = Literal["same", "changed", "added", "removed"]

OVER_S = 3600
"""An episode that has been resolved for so long is compared with the other side."""
SETTLE_EVERY_S = 600
MOVED_S = 60
"""An episode that is raised sooner or later by as much has changed."""
EXAMPLES = 3
"""Of each rule and change."""
SCOPES = 20_000
"""Scopes whose episodes are counted; later ones are counted as one."""
OTHER_SCOPES = "other scopes"


class RaisedEpisode(msgspec.Struct, kw_only=True):
    """One episode as a set of rules raised it. Times in microseconds since 1970.

    - `severity`: the worst one; `critical_us`: when it became critical, None if it never did.
    - `ends_us`: None while it fires; `reason`: of its last firing revision.
    - `calls`: keys of calls that show it.
    """

    id: str
    fingerprint: str
    rule: str
    scope: str
    account: str | None
    severity: Severity
    starts_us: int
    detected_us: int
    updated_us: int
    ends_us: int | None
    critical_us: int | None
    reason: str
    calls: list[str]

    @property
    def counted_as(self) -> str:
        """The scope that it makes noise in: an endpoint or a code, or all calls of an account."""
        if not self.scope.startswith("call "):
            return self.scope
        return f"calls of {self.account or 'an unknown account'}"

    def overlaps(self, other: RaisedEpisode) -> bool:
        return (self.ends_us is None or other.starts_us <= self.ends_us) and (
            other.ends_us is None or self.starts_us <= other.ends_us
        )


class Difference(msgspec.Struct):
    """An example of what changes. `current` or `candidate` is None where it raises nothing."""

    current: RaisedEpisode | None
    candidate: RaisedEpisode | None


class RaisedCounts(msgspec.Struct):
    """What one side raised.

    - `alerts`: episodes by (rule, severity); `pages`: critical ones by day (days since 1970).
    - `scopes`: episodes by scope.
    """

    alerts: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    pages: Counter[int] = msgspec.field(default_factory=Counter)
    scopes: Counter[str] = msgspec.field(default_factory=Counter)


class AlertComparison:
    """All that was raised since `since_us`; what began before is not counted."""

    def __init__(self, since_us: int) -> None:
        self.counts: dict[Side, RaisedCounts] = {side: RaisedCounts() for side in SIDES}
        self.changes: Counter[tuple[str, Change]] = Counter()
        """Pairs of episodes by (rule, change)."""
        self.examples: defaultdict[tuple[str, Change], list[Difference]] = defaultdict(list)
        self._since_us = since_us
        self._open: dict[str, dict[Side, dict[str, RaisedEpisode]]] = {}
        self._settled_us = 0

    def take(self, side: Side, alert: Alert) -> None:
        """One revision of an episode."""
        sides = self._open.setdefault(alert.fingerprint, {one: {} for one in SIDES})
        updated_us = _us(alert.updated_at)
        known = sides[side].get(alert.episode_id)
        if known is None:
            known = sides[side][alert.episode_id] = RaisedEpisode(
                id=alert.episode_id,
                fingerprint=alert.fingerprint,
                rule=alert.rule.id,
                scope=f"call {alert.scope.id}" if alert.scope.type == "call" else alert.scope.id,
                account=alert.account_alias,
                severity=alert.severity,
                starts_us=_us(alert.starts_at),
                detected_us=_us(alert.detected_at),
                updated_us=updated_us,
                ends_us=None,
                critical_us=None,
                reason=alert.reason.text,
                calls=[],
            )
        known.updated_us = updated_us
        known.ends_us = _us(alert.ends_at) if alert.ends_at is not None else None
        known.severity = min(known.severity, alert.severity, key=SEVERITIES.index)
        if alert.state == "firing":
            known.reason = alert.reason.text
            if alert.severity == "critical" and known.critical_us is None:
                known.critical_us = updated_us
        known.calls = [one.key for one in alert.samples] or known.calls
        if alert.call is not None:
            known.calls = [alert.scope.id]

    def settle(self, now_us: int, *, everything: bool = False) -> None:
        """Compare what has been over for a while, or everything."""
        if not everything and now_us - self._settled_us < SETTLE_EVERY_S * SECOND_US:
            return
        self._settled_us = now_us
        over_us = now_us - OVER_S * SECOND_US
        for fingerprint, sides in list(self._open.items()):
            episodes = [one for side in SIDES for one in sides[side].values()]
            if everything or all(one.ends_us is not None and one.updated_us < over_us for one in episodes):
                del self._open[fingerprint]
                self._compare(sides)

    def _compare(self, sides: dict[Side, dict[str, RaisedEpisode]]) -> None:
        """The pairs of one condition and scope, the oldest first."""
        current, candidate = (
            sorted(sides[side].values(), key=lambda one: (one.starts_us, one.detected_us, one.id))
            for side in SIDES
        )
        for belongs in (_is_one, RaisedEpisode.overlaps):
            for one in list(current):
                other = next((other for other in candidate if belongs(one, other)), None)
                if other is not None:
                    current.remove(one)
                    candidate.remove(other)
                    self._count(one, other)
        for one in current:
            self._count(one, None)
        for one in candidate:
            self._count(None, one)

    def _count(self, current: RaisedEpisode | None, candidate: RaisedEpisode | None) -> None:
        pair: Sequence[RaisedEpisode] = [one for one in (current, candidate) if one is not None]
        if min(one.detected_us for one in pair) < self._since_us:
            return
        for side, one in zip(SIDES, (current, candidate), strict=True):
            if one is not None:
                self._count_side(self.counts[side], one)
        change = _change(current, candidate)
        rule = pair[0].rule
        self.changes[rule, change] += 1
        examples = self.examples[rule, change]
        if change != "same" and len(examples) < EXAMPLES:
            examples.append(Difference(current, candidate))

    def _count_side(self, counts: RaisedCounts, one: RaisedEpisode) -> None:
        counts.alerts[one.rule, one.severity] += 1
        if one.critical_us is not None:
            counts.pages[one.critical_us // (86_400 * SECOND_US)] += 1
        scope = one.counted_as
        if scope not in counts.scopes and len(counts.scopes) >= SCOPES:
            scope = OTHER_SCOPES
        counts.scopes[scope] += 1


def _is_one(one: RaisedEpisode, other: RaisedEpisode) -> bool:
    return one.id == other.id


def _change(current: RaisedEpisode | None, candidate: RaisedEpisode | None) -> Change:
    if current is None:
        return "added"
    if candidate is None:
        return "removed"
    moved_us = abs(current.detected_us - candidate.detected_us)
    same = current.severity == candidate.severity and moved_us < MOVED_S * SECOND_US
    return "same" if same else "changed"


def _us(text: str) -> int:
    return instant(text) or 0
