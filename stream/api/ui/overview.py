"""What the overview says, read from the archive: calls a minute, failures, open conditions, sources.

Synchronous: it runs in one of the threads that read the archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stream.api.ui.drawings.chart import NARROW_CHART, NOT_ENDED, WIDE_CHART, call_chart
from stream.api.ui.wording import share
from stream.archive.questions import AlertFilter, CallFilter, StoredCall
from stream.archive.reader import Archive
from stream.core.alerting.rules import SEVERITIES
from stream.core.alerting.scopes import CONDITIONS

MINUTES = 60
MOST_FAILURES = 200
MOST_CONDITIONS = 50
JUDGED_CALLS = 200
"""The newest calls by which the sources are judged."""

RULES = {one.rule_id: kind for kind, conditions in CONDITIONS.items() for one in conditions}
"""The rules of conditions, with the kind of their scope."""


class SourceReport(msgspec.Struct):
    """How a source told of the newest calls. `awaited`: of how many it is expected and has not told."""

    name: str
    seen: int
    awaited: int
    newest: str | None


def overview(archive: Archive, accounts: frozenset[str] | None, now: datetime) -> dict[str, Any]:
    """The context of the template."""
    # Whole minutes, as the chart has them.
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
    mine = CallFilter(accounts=accounts, since=since, until=now)
    counts = archive.calls_by_minute(mine)
    charts = [call_chart(counts, now, size) for size in (WIDE_CHART, NARROW_CHART)]
    totals: Counter[str] = Counter()
    for one in counts:
        totals[one.outcome or NOT_ENDED] += one.count
    failing = msgspec.structs.replace(mine, outcome=("failed", "rejected"))
    failures = archive.calls(failing, MOST_FAILURES)
    conditions = _conditions(archive, accounts)
    newest = archive.calls(CallFilter(accounts=accounts), JUDGED_CALLS, with_records=True).items
    judged = [one for one in newest if one.record is not None]
    total = sum(totals.values())
    ended = total - totals[NOT_ENDED]
    return {
        "asr": share(totals["answered"], ended),
        "charts": charts,
        "conditions": conditions[:MOST_CONDITIONS],
        "earliest": min((one.started_at for one in judged), default=None),
        "ended": ended,
        "endpoints": [one for one in conditions if RULES.get(one["rule"]["id"]) == "endpoint"],
        "failed": totals["failed"] + totals["rejected"],
        "failures": by_fault(failures.items),
        "judged": len(judged),
        "minutes": MINUTES,
        "more_conditions": len(conditions) > MOST_CONDITIONS,
        "more_failures": failures.next is not None,
        "now": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "of_call": False,
        "running": totals[NOT_ENDED],
        "sources": source_reports([one.record for one in judged if one.record is not None]),
        "total": total,
        "totals": {name: totals[name] for name in charts[0].totals},
    }


def _conditions(archive: Archive, accounts: frozenset[str] | None) -> list[dict[str, Any]]:
    """What holds now, the most urgent first, then the newest."""
    found = []
    for rule in RULES:
        wanted = AlertFilter(accounts=accounts, rule=rule, state="firing")
        found += archive.alerts(wanted, MOST_CONDITIONS + 1).items
    found.sort(key=lambda one: one["starts_at"], reverse=True)
    return sorted(found, key=lambda one: SEVERITIES.index(one["severity"]))


def by_fault(calls: Sequence[StoredCall]) -> list[tuple[str, list[StoredCall]]]:
    """Failed calls by whose fault it was, the most frequent first, `unknown` where there is no verdict."""
    found: dict[str, list[StoredCall]] = {}
    for call in calls:
        found.setdefault(call.fault or "unknown", []).append(call)
    return sorted(found.items(), key=lambda one: -len(one[1]))


def source_reports(records: Sequence[dict[str, Any]]) -> list[SourceReport]:
    """What the newest call records say of their sources, by name."""
    seen: Counter[str] = Counter()
    awaited: Counter[str] = Counter()
    newest: dict[str, str] = {}
    for record in records:
        told = record["completeness"]
        seen.update(told["seen"])
        awaited.update(set(told["expected"]) - set(told["seen"]))
        for name in told["seen"]:
            newest[name] = max(newest.get(name, ""), record["arrival"]["last_received_at"] or "")
    return [
        SourceReport(name, seen[name], awaited[name], newest.get(name) or None)
        for name in sorted({*seen, *awaited})
    ]
