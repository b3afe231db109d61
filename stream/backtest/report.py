"""What a backtest found, as one JSON object and as lines for a person. No traffic gives None, never 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from stream.backtest.comparison import SIDES, AlertComparison, Difference, RaisedCounts, RaisedEpisode, Side
from stream.core.alerting.rules import RULE_IDS, SEVERITIES
from stream.core.timestamps import SECOND_US, utc

NOISIEST = 10
DAY_S = 86_400
LEAST_S = 3600
"""In less time the pages of a day cannot be told."""


class AlertExample(msgspec.Struct, kw_only=True):
    """One episode. `ends_at`: None while it fires."""

    severity: str
    starts_at: str
    detected_at: str
    ends_at: str | None
    reason: str
    calls: list[str]


class ChangeExample(msgspec.Struct, kw_only=True):
    """An alert that changes: `current` is None where it is added, `candidate` where it is removed."""

    rule: str
    scope: str
    current: AlertExample | None
    candidate: AlertExample | None


class RuleReport(msgspec.Struct, kw_only=True):
    """The alerts of one rule: of each side, and how they compare."""

    rule: str
    current: int
    candidate: int
    same: int
    changed: int
    added: int
    removed: int


class SideReport(msgspec.Struct, kw_only=True):
    """What one set of rules raises. `pages`: alerts that became critical; `pages_a_day`: None of less
    than LEAST_S.
    """

    alerts: int
    by_severity: dict[str, int]
    pages: int
    pages_a_day: float | None
    busiest_day: str | None
    busiest_day_pages: int


class NoisyScope(msgspec.Struct, kw_only=True):
    """How many alerts a scope has: an endpoint, a code of failure, or all calls of an account."""

    scope: str
    current: int
    candidate: int


class BacktestReport(msgspec.Struct, kw_only=True):
    """All that was found.

    - `since`: from when on alerts count; `until`: how far the recording was taken.
    - `complete`: False if it stopped before the end that was asked for; `notes` say why.
    - `partitions`: how many were taken, of `of_partitions`; `records`: deliveries.
    - `unreadable`: deliveries and calls that would become dead letters.
    """

    since: str
    until: str
    complete: bool
    partitions: int
    of_partitions: int
    records: int
    unreadable: int
    current: SideReport
    candidate: SideReport
    added: int
    removed: int
    changed: int
    same: int
    rules: list[RuleReport]
    noisiest: list[NoisyScope]
    examples: list[ChangeExample]
    notes: list[str]


def report_of(
    found: AlertComparison,
    *,
    since_us: int,
    until_us: int,
    complete: bool,
    partitions: tuple[int, int],
    records: int,
    unreadable: int,
    notes: list[str],
) -> BacktestReport:
    """The report of a comparison. `partitions`: how many were taken, and how many there are."""
    totals: Counter[str] = Counter()
    for (_, change), number in found.changes.items():
        totals[change] += number
    sides = {side: _side(found.counts[side], (until_us - since_us) / SECOND_US) for side in SIDES}
    return BacktestReport(
        since=utc(since_us),
        until=utc(until_us),
        complete=complete,
        partitions=partitions[0],
        of_partitions=partitions[1],
        records=records,
        unreadable=unreadable,
        current=sides["current"],
        candidate=sides["candidate"],
        added=totals["added"],
        removed=totals["removed"],
        changed=totals["changed"],
        same=totals["same"],
        rules=[one for rule in RULE_IDS if (one := _rule(found, rule)).current or one.candidate],
        noisiest=_noisiest(found),
        examples=[
            _example(one)
            for change in ("added", "removed", "changed")
            for rule in RULE_IDS
            for one in found.examples.get((rule, change), ())
        ],
        notes=notes,
    )


def _side(counts: RaisedCounts, seconds: float) -> SideReport:
    pages = counts.pages.total()
    day, most = min(counts.pages.items(), key=lambda one: (-one[1], one[0]), default=(None, 0))
    return SideReport(
        alerts=counts.alerts.total(),
        by_severity={
            severity: sum(n for (_, known), n in counts.alerts.items() if known == severity)
            for severity in SEVERITIES
        },
        pages=pages,
        pages_a_day=round(pages * DAY_S / seconds, 2) if seconds >= LEAST_S else None,
        busiest_day=utc(day * DAY_S * SECOND_US)[:10] if day is not None else None,
        busiest_day_pages=most,
    )


def _rule(found: AlertComparison, rule: str) -> RuleReport:
    alerts: dict[Side, int] = {
        side: sum(n for (id_, _), n in found.counts[side].alerts.items() if id_ == rule) for side in SIDES
    }
    changes = {change: found.changes[rule, change] for change in ("same", "changed", "added", "removed")}
    return RuleReport(rule=rule, **alerts, **changes)


def _noisiest(found: AlertComparison) -> list[NoisyScope]:
    """Those with the most alerts of either side, the noisiest first."""
    current, candidate = (found.counts[side].scopes for side in SIDES)
    scopes = sorted(
        current.keys() | candidate.keys(), key=lambda one: (-max(current[one], candidate[one]), one)
    )
    return [
        NoisyScope(scope=one, current=current[one], candidate=candidate[one]) for one in scopes[:NOISIEST]
    ]


def _example(one: Difference) -> ChangeExample:
    known = one.candidate or one.current
    assert known is not None
    return ChangeExample(
        rule=known.rule, scope=known.scope, current=_episode(one.current), candidate=_episode(one.candidate)
    )


def _episode(one: RaisedEpisode | None) -> AlertExample | None:
    if one is None:
        return None
    return AlertExample(
        severity=one.severity,
        starts_at=utc(one.starts_us),
        detected_at=utc(one.detected_us),
        ends_at=utc(one.ends_us) if one.ends_us is not None else None,
        reason=one.reason,
        calls=one.calls,
    )


# -- for a person


def lines_of(report: BacktestReport) -> Iterator[str]:
    part = "" if report.partitions == report.of_partitions else f" of {report.of_partitions}"
    yield (
        f"{report.records:,} deliveries of {report.partitions}{part} partitions, "
        f"{report.since[:16]}Z to {report.until[:16]}Z"
    )
    for note in report.notes:
        yield f"note: {note}"
    yield ""
    yield f"{'':<28}{'current':>10}{'candidate':>11}"
    for name, current, candidate in _totals(report):
        yield f"{name:<28}{current:>10}{candidate:>11}"
    yield ""
    yield f"{'rule':<28}{'current':>10}{'candidate':>11}{'same':>8}{'changed':>9}{'added':>8}{'removed':>9}"
    for one in report.rules:
        yield (
            f"{one.rule:<28}{one.current:>10,}{one.candidate:>11,}{one.same:>8,}{one.changed:>9,}"
            f"{one.added:>8,}{one.removed:>9,}"
        )
    if report.noisiest:
        yield ""
        yield f"{'':<28}{'current':>10}{'candidate':>11}  noisiest scopes"
        for noisy in report.noisiest:
            yield f"{'':<28}{noisy.current:>10,}{noisy.candidate:>11,}  {noisy.scope}"
    for example in report.examples:
        yield ""
        yield from _example_lines(example)


def _totals(report: BacktestReport) -> Iterator[tuple[str, str, str]]:
    one, other = report.current, report.candidate
    yield "alerts", f"{one.alerts:,}", f"{other.alerts:,}"
    for name in SEVERITIES:
        yield f"  {name}", f"{one.by_severity[name]:,}", f"{other.by_severity[name]:,}"
    yield "pages (critical)", f"{one.pages:,}", f"{other.pages:,}"
    yield "  a day", _number(one.pages_a_day), _number(other.pages_a_day)
    yield "  on the busiest day", f"{one.busiest_day_pages:,}", f"{other.busiest_day_pages:,}"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _example_lines(one: ChangeExample) -> Iterator[str]:
    change = "changed" if one.current and one.candidate else "removed" if one.current else "added"
    yield f"{change}: {one.rule} of {one.scope}"
    for name, known in (("current", one.current), ("candidate", one.candidate)):
        if known is not None:
            ends = f"to {known.ends_at[:19]}Z" if known.ends_at is not None else "and still fires"
            yield f"  {name}: {known.severity}, from {known.starts_at[:19]}Z {ends}"
            yield f"    {known.reason}"
            if known.calls and one.scope != f"call {known.calls[0]}":
                yield f"    calls: {', '.join(known.calls)}"
