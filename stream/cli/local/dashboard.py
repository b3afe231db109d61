"""What `callstream up` shows: a live view on a terminal, elsewhere a plain line. Unknown values are a -."""

from __future__ import annotations

from collections import deque
from dataclasses import astuple, dataclass, field
from typing import Any

import orjson
from rich.console import Group
from rich.table import Table

from stream.cli.local.worker_metrics import WorkerSnapshot
from stream.cli.support.drawing import text

NEWEST = 8


@dataclass(frozen=True)
class AlertNotice:
    """The parts of an alert that fit a line."""

    at: str
    severity: str
    rule: str
    scope: str
    text: str

    @classmethod
    def of(cls, alert: dict[str, Any]) -> AlertNotice:
        """The notice of an alert record. For an endpoint's alert the call is named instead."""
        scope = alert["scope"]["id"]
        call = alert.get("call")
        if alert["scope"]["type"] != "call" and call:
            scope = f"{alert['provider']}:{call['id']}"
        return cls(
            alert["detected_at"][11:19],
            alert["severity"],
            alert["rule"]["id"],
            scope,
            alert["reason"]["text"],
        )

    @classmethod
    def read(cls, value: bytes | None) -> AlertNotice | None:
        """The notice of a record's value; None if it is not an alert: any program may write there."""
        try:
            notice = cls.of(orjson.loads(value or b""))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return notice if all(isinstance(word, str) for word in astuple(notice)) else None


@dataclass
class DashboardState:
    """Everything that the view shows."""

    links: list[tuple[str, str]]
    now: WorkerSnapshot | None = None
    rate: float | None = None
    alerts: deque[AlertNotice] = field(default_factory=lambda: deque(maxlen=NEWEST))
    alerts_seen: int = 0
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=4))


def line(scene: DashboardState) -> str:
    """One plain line, for a log."""
    now = scene.now
    if now is None:
        return "worker: not answering yet"
    outcomes = " ".join(f"{name}={count:.0f}" for name, count in sorted(now.outcomes.items()) if count)
    parts = [
        f"worker {now.state or '-'}",
        f"{_rate(scene.rate)} deliveries/s",
        f"lag {now.lag:.0f}",
        f"calls active {now.active:.0f}",
        f"ended {sum(now.outcomes.values()):.0f} ({outcomes or '-'})",
        f"alerts {sum(now.alerts.values()):.0f}",
    ]
    if any(now.compared.values()):
        parts.append(f"read whole {sum(now.compared.values()):.0f} ({_counts(now.compared)})")
    if now.dead_letters:
        parts.append(f"dead letters {now.dead_letters:.0f}")
    return ", ".join(parts)


def alert_line(notice: AlertNotice) -> str:
    """One alert as a plain line."""
    return f"{notice.at} {notice.severity:<8} {notice.rule:<16} {notice.scope}  {notice.text}"


def panel(scene: DashboardState) -> Group:
    """The live view."""
    parts: list[Any] = [_figures(scene), text(), _alerts(scene), text()]
    parts += [text(f"! {note}", "yellow") for note in scene.notes]
    links = Table.grid(padding=(0, 2))
    for what, where in scene.links:
        links.add_row(text(what, "dim"), text(where))
    parts.append(links)
    return Group(*parts)


def _figures(scene: DashboardState) -> Table:
    now = scene.now
    grid = Table.grid(padding=(0, 3))
    rows: list[tuple[str, str]] = [
        ("worker", (now.state or "-") if now else "not answering yet"),
        ("deliveries", f"{_rate(scene.rate)}/s, {_counts(now.results) if now else '-'}"),
        ("lag", f"{now.lag:,.0f} records" if now else "-"),
        ("calls", f"{now.active:,.0f} active, {sum(now.outcomes.values()):,.0f} ended" if now else "-"),
        ("outcomes", _counts(now.outcomes) if now else "-"),
        ("alerts", _counts(now.alerts) if now else "-"),
    ]
    if now and any(now.compared.values()):
        rows.append(("read whole", _counts(now.compared)))
    if now and now.dead_letters:
        rows.append(("dead letters", f"{now.dead_letters:,.0f}"))
    for name, value in rows:
        grid.add_row(text(name, "bold"), text(value))
    return grid


def _alerts(scene: DashboardState) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("at", no_wrap=True)
    table.add_column("newest alerts", no_wrap=True)
    table.add_column("call", no_wrap=True)
    table.add_column("reason", ratio=1, no_wrap=True)
    for notice in reversed(scene.alerts):
        style = "red" if notice.severity == "critical" else "yellow"
        table.add_row(text(notice.at), text(notice.rule, style), text(notice.scope), text(notice.text))
    if not scene.alerts:
        table.add_row("-", "none yet", "", "")
    return table


def _rate(rate: float | None) -> str:
    return f"{rate:,.0f}" if rate is not None else "-"


def _counts(counts: dict[str, float]) -> str:
    return ", ".join(f"{name} {count:,.0f}" for name, count in sorted(counts.items()) if count) or "-"
