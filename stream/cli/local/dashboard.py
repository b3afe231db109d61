"""What `callstream up` shows: a live view on a terminal, elsewhere a plain line. Unknown values are a -.

The view fits the terminal. How to stop it is always its last line; alerts get the room that figures leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.style import Style
from rich.text import Text

from stream.cli.local.figures import Figures, WatchedRole
from stream.cli.local.notices import AlertGroup, NewestAlerts, shortened
from stream.cli.support.drawing import PlainConsole, text
from stream.service.metrics import poller
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import DEAD_LETTERS

LABEL = 14
"""Columns of the names of figures and links."""

STALE_S = 5.0
"""Figures that are older are dimmed: a scrape was missed."""

LEAST_ALERTS, MOST_ALERTS = 3, 12
MOST_NOTES = 4
ONE_LINE = 110
"""From this width on an alert has one line, below it two."""

RULE, WHERE = 16, 22


@dataclass
class DashboardState:
    """Everything that the view shows. `stop` is how to stop it; `poller` is None if nothing is polled."""

    worker: WatchedRole = field(default_factory=lambda: WatchedRole(""))
    poller: WatchedRole | None = None
    links: Sequence[tuple[str, str]] = ()
    alerts: NewestAlerts = field(default_factory=NewestAlerts)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_NOTES))

    @property
    def reasons(self) -> list[str]:
        """What the roles say of themselves."""
        return [*self.worker.reasons, *(self.poller.reasons if self.poller is not None else ())]


def line(state: DashboardState, now_s: float) -> str:
    """One plain line, for a log. `now_s`: by the clock of the figures."""
    figures = state.worker.now
    if figures is None:
        return "worker: not answering yet"
    return ", ".join(f"{name} {value}" for name, value in _rows(state, figures, now_s))


def panel(state: DashboardState, width: int, height: int, now_s: float) -> Group:
    """The live view, at most `height` - 1 lines: the last one is the cursor's."""
    figures = _figures(state, width, now_s)
    said = [*state.notes, *state.reasons][-MOST_NOTES:]
    notes = [line for note in said for line in _wrapped(f"! {note}", "yellow", width)]
    links = [_row(name, value, "dim", width) for name, value in state.links]
    left = max(0, height - 2 - len(figures) - len(notes) - 1)
    lines_each = 1 if width >= ONE_LINE else 2
    known = list(state.alerts)[:MOST_ALERTS]
    least = min(len(known), LEAST_ALERTS) * lines_each + 2
    links = links[: max(0, left - least)]
    shown = known[: max(0, left - len(links) - 2) // lines_each]
    alerts = [*_alerts(shown, width), text()] if shown or not known else []
    lines = [*figures, text(), *alerts, *notes, *links]
    return Group(*lines[: max(0, height - 2)], _row("stop", "Ctrl-C", "dim", width))


def _figures(state: DashboardState, width: int, now_s: float) -> list[Text]:
    figures = state.worker.now
    if figures is None:
        return [_row("worker", "not answering yet", "bold", width)]
    stale = now_s - figures.at_s > STALE_S
    lines: list[Text] = []
    for name, value in _rows(state, figures, now_s):
        for at, part in enumerate(_wrapped(value, "", max(20, width - LABEL))):
            row = _row("" if at else name, part.plain, "bold", width)
            if stale:
                row.stylize("dim")
            lines.append(row)
    return lines


def _rows(state: DashboardState, figures: Figures, now_s: float) -> list[tuple[str, str]]:
    worker, age_s = state.worker, now_s - figures.at_s
    states = figures.split(f.WORKER_STATE).items()
    known = ", ".join(name if on == 1 else f"{name} ({on:.0f})" for name, on in states if on) or "-"
    known += f", no answer for {age_s:.0f} s" if age_s > STALE_S else ""
    rate = worker.rate(f.EVENTS_PROCESSED)
    per_second = "-" if rate is None else f"{rate:,.0f}"
    outcomes, compared = figures.split(f.CALLS_ENDED), figures.split(f.RECONCILED_CALLS)
    rows = [
        ("worker", known),
        ("deliveries", f"{per_second}/s, {_counts(figures.split(f.EVENTS_PROCESSED))}"),
        ("latency", _latency(worker)),
        ("backlog", _backlog(state, figures)),
        ("calls", f"{figures.total(f.CALLS_ACTIVE):,.0f} active, {sum(outcomes.values()):,.0f} ended"),
        ("outcomes", _counts(outcomes)),
        ("alerts", _counts(figures.split(f.ALERTS_PUBLISHED))),
    ]
    if any(compared.values()):
        rows.append(("read whole", f"{sum(compared.values()):,.0f}: {_counts(compared)}"))
    if dead_letters := figures.total(DEAD_LETTERS):
        rows.append(("dead letters", f"{dead_letters:,.0f}"))
    return rows


def _latency(worker: WatchedRole) -> str:
    """From the receipt of an event to its visible state: the difference of two means of the same events."""
    visible, received = (worker.mean(f.EVENT_LATENCY, stage) for stage in ("state_visible", "received"))
    if visible is None or received is None:
        return "-"
    return f"{max(0.0, visible - received):.2f} s from receipt to state"


def _backlog(state: DashboardState, figures: Figures) -> str:
    parts = [f"{figures.total(f.CONSUMER_LAG):,.0f} records"]
    if state.poller is not None:
        reads = state.poller.now
        said = f"{reads.total(poller.POLL_WAITING):,.0f} reads" if reads is not None else "- reads"
        if reads is not None and figures.at_s - reads.at_s > STALE_S:  # only the poller does not answer
            said += f" {figures.at_s - reads.at_s:.0f} s ago"
        parts.append(said)
    return ", ".join(parts)


def _alerts(groups: Sequence[AlertGroup], width: int) -> list[Text]:
    if not groups:
        return [text("no alerts yet", "dim")]
    wide = width >= ONE_LINE
    times = max(len(_times(group)) for group in groups)
    lines = [text("newest alerts", "dim")]
    for group in groups:
        notice = group.newest
        where = text(_padded(shortened(notice.where), WHERE))
        if notice.page is not None:
            where.stylize(Style(link=notice.page))
        head = Text.assemble(
            text(f"{notice.at} "),
            text(f"{_times(group):<{times}} "),
            text(_padded(notice.rule.id, RULE), "red" if notice.severity == "critical" else "yellow"),
            where,
        )
        if wide:
            lines.append(head + _without_middle(notice.says, width - head.cell_len))
        else:
            lines += [_fitted(head, width), text("  ") + _without_middle(notice.says, width - 2)]
    return lines


def _times(group: AlertGroup) -> str:
    return f"{group.number}x" if group.number > 1 else ""


def _padded(words: str, columns: int) -> str:
    """At least so many columns, and a space."""
    return words + " " * (max(0, columns - cell_len(words)) + 1)


def _row(name: str, value: str, style: str, width: int) -> Text:
    return _fitted(Text.assemble(text(set_cell_size(name, LABEL), style), text(value)), width)


def _wrapped(words: str, style: str, width: int) -> list[Text]:
    lines = list(text(words, style).wrap(PlainConsole(width=width), width))
    for line in lines:
        line.rstrip()
    return lines


def _without_middle(words: str, width: int) -> Text:
    """Both ends of what is too long: a reason ends in its code or address."""
    said, end = text(words), width // 2
    if said.cell_len <= width:
        return said
    return _fitted(said[: width - end - 1] + text("…") + said[-end:], width)


def _fitted(words: Text, width: int) -> Text:
    words.truncate(width, overflow="ellipsis")
    return words


def _counts(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:,.0f}" for name, count in sorted(counts.items()) if count) or "-"
