"""The figures of a service as two lines of the live view: what flows, and how each role is."""

from __future__ import annotations

from rich.text import Text

from stream.cli.local.service_figures import RoleHealth, ServiceFigures, seconds
from stream.cli.support.drawing import text

UNKNOWN = "–"


def strip(figures: ServiceFigures, width: int) -> Text:
    """Two lines of at most so many columns. Unknown values are a –."""
    flow, roles = _flow(figures), _roles(figures.roles)
    for line in (flow, roles):
        line.truncate(max(1, width), overflow="ellipsis")
    return Text.assemble(flow, "\n", roles)


def _flow(figures: ServiceFigures) -> Text:
    p50, p99 = (seconds(value, UNKNOWN) for value in (figures.latency_p50_s, figures.latency_p99_s))
    records, reads = (_count(value) for value in (figures.backlog_records, figures.backlog_reads))
    return Text.assemble(
        text("events ", "dim"),
        text(f"{_count(figures.events_per_s)}/s  "),
        text("latency ", "dim"),
        text(f"p50 {p50}, p99 {p99}  "),
        text("backlog ", "dim"),
        text(f"{records} records, {reads} reads"),
    )


def _roles(roles: tuple[RoleHealth, ...]) -> Text:
    line = text("roles ", "dim")
    for role, ready in roles:
        mark, style = _MARKS[ready]
        line.append_text(text(f"{role} "))
        line.append_text(text(f"{mark}  ", style))
    return line if roles else line.append_text(text(UNKNOWN))


_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: (UNKNOWN, "dim")}
"""Ready, not ready, no answer."""


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"
