"""The timeline of one call as a terminal shows it: a table where there is room, else two lines a row."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stream.cli.query.words import COLOUR_OF_FAULT, COLOUR_OF_OUTCOME, seconds, short_source, time_of_day
from stream.cli.support.drawing import text
from stream.timeline.call_timeline import CallTimeline, TimelineRow

TABLE_FROM = 100
"""From this width on the timeline is a table."""

MOST_EVIDENCE = 6
_DERIVED = frozenset({"derived", "received", "unknown"})
_COLOUR_OF_LEVEL = {"error": "red", "warning": "yellow"}
_ARRIVALS = {"late": "late", "never_came": "never came"}
_INDENT = 11


def flight_recorder(timeline: CallTimeline, width: int) -> Group:
    """All that is known of a call, in a terminal of this width."""
    head = _head(timeline)
    rows: list[RenderableType] = [_table(timeline)] if width >= TABLE_FROM else _stacked(timeline)
    return Group(*head, text(), *rows)


def _head(timeline: CallTimeline) -> list[RenderableType]:
    if timeline.forgotten:
        return [
            text(timeline.key, "bold"),
            text("forgotten on request: nothing of it is kept but this", "bold yellow"),
        ]
    status = timeline.status or "status unknown"
    if timeline.outcome is not None and timeline.outcome != status.replace("-", "_"):
        status += f" ({timeline.outcome})"
    colour = COLOUR_OF_OUTCOME.get(timeline.outcome or "", "yellow")
    ends = f"{timeline.from_ or '?'} → {timeline.to or '?'}"
    about = ", ".join(
        part
        for part in (
            timeline.direction_detail or timeline.direction,
            ends if timeline.from_ or timeline.to else None,
            f"account {timeline.account_alias or timeline.account}" if timeline.account_alias else None,
        )
        if part
    )
    lines: list[RenderableType] = [
        text(timeline.key, "bold"),
        Text.assemble(text(status, f"bold {colour}"), text(f"  {about}")),
    ]
    lines.append(fact("started", _started(timeline)))
    if durations := _durations(timeline):
        lines.append(fact("durations", durations))
    for name, said in _facts(timeline):
        lines.append(fact(name, said))
    lines += _verdict(timeline)
    for one in timeline.conflicts:
        values = " or ".join(one.values)
        lines.append(fact("conflict", f"{one.field} is {values}; {one.chosen} counts", "yellow"))
    return lines + [fact(name, said) for name, said in _completeness(timeline)]


def fact(name: str, said: str, style: str = "") -> RenderableType:
    """A labelled line; what is too long is wrapped beside its label."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_INDENT, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(text(name, "dim"), text(said, style))
    return grid


def _started(timeline: CallTimeline) -> str:
    if timeline.started_at is None:
        return "unknown"
    derived = " (derived)" if timeline.started_at_quality in _DERIVED else ""
    ended = next(phase for phase in timeline.phases if phase.name == "ended")
    until = f", ended {time_of_day(ended.at)}" if ended.at is not None else ""
    if ended.at is not None and ended.quality in _DERIVED:
        until += " (derived)"
    state = "" if timeline.ended else ", has not ended"
    return f"{timeline.started_at}{derived}{until}{state}"


def _durations(timeline: CallTimeline) -> str:
    return ", ".join(
        f"{one.name} {seconds(one.seconds)}"
        + (" (derived)" if one.quality in _DERIVED and not one.reported else "")
        for one in timeline.durations
    )


def _facts(timeline: CallTimeline) -> list[tuple[str, str]]:
    codes = [f"SIP {timeline.sip_response_code}"] if timeline.sip_response_code is not None else []
    codes += [f"code {code}" for code in timeline.error_codes]
    links = [f"parent {timeline.parent_call_id}"] if timeline.parent_call_id else []
    links += [f"child {child}" for child in timeline.child_call_ids]
    links += [f"session {timeline.session_id}"] if timeline.session_id else []
    links += [f"leg {timeline.leg_id}"] if timeline.leg_id not in (None, timeline.call_id) else []
    price = f"{timeline.price} {timeline.price_unit or ''}".strip() if timeline.price else ""
    found = (
        ("codes", ", ".join(codes)),
        ("answered by", timeline.answered_by or ""),
        ("price", price),
        ("linked to", ", ".join(links)),
    )
    return [(name, said) for name, said in found if said]


def _verdict(timeline: CallTimeline) -> list[RenderableType]:
    verdict = timeline.verdict
    if verdict is None:
        return []
    sure = f" ({verdict.confidence})" if verdict.confidence else ""
    colour = COLOUR_OF_FAULT.get(verdict.fault, "yellow")
    lines = [fact("verdict", f"{verdict.fault}{sure}: {verdict.reason}", colour)]
    for one in verdict.evidence[:MOST_EVIDENCE]:
        speaks = f" speaks for {one.fault}" if one.fault not in (None, "unknown") else ""
        detail = f" {one.detail}" if one.detail else ""
        by = f" [{', '.join(map(short_source, one.sources))}]" if one.sources else ""
        lines.append(fact("", f"{one.fact} {one.value}{detail}{speaks}{by}"))
    if (more := len(verdict.evidence) - MOST_EVIDENCE) > 0:
        lines.append(fact("", f"and {more} more"))
    return lines


def _completeness(timeline: CallTimeline) -> list[tuple[str, str]]:
    reported = timeline.completeness
    lines = [("seen by", ", ".join(map(short_source, reported.seen)))] if reported.seen else []
    for one in reported.still_expected:
        when = (
            f", read from {time_of_day(one.first_at)} to {time_of_day(one.last_at)}" if one.first_at else ""
        )
        lines.append(("expected", f"{short_source(one.source)}{when}"))
    if reported.never_came:
        lines.append(("never came", ", ".join(map(short_source, reported.never_came))))
    if not timeline.ended:
        lines.append(("expected", "the end of the call"))
    elif not timeline.settled:
        lines.append(("", "the call has not settled: later evidence may change this"))
    if timeline.truncated:
        lines.append(("", "the call has more events than are kept or shown of one"))
    return lines


# -- the rows


def _table(timeline: CallTimeline) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column(text("offset"), justify="right", no_wrap=True)
    table.add_column(text("at"), no_wrap=True)
    table.add_column(text("received"), justify="right", no_wrap=True)
    table.add_column(text("from → to"), no_wrap=True)
    table.add_column(text("what"), ratio=1, overflow="fold")
    table.add_column(text("seen by"), overflow="fold")
    for row in timeline.rows:
        style = _style(row)
        table.add_row(
            text(_offset(row), style),
            text(_at(row), "dim"),
            text(_received(row), "yellow" if row.arrival == "late" else "dim"),
            text(_way(row), "dim"),
            text(_what(row), style),
            text(", ".join(map(short_source, row.seen_by)), "dim"),
        )
    return table


def _stacked(timeline: CallTimeline) -> list[RenderableType]:
    """Two lines a row: what, then who saw it and when."""
    lines: list[RenderableType] = []
    for row in timeline.rows:
        style = _style(row)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=_INDENT - 1, justify="right", no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(text(_offset(row), style), text(_what(row), style))
        seen = ", ".join(map(short_source, row.seen_by))
        came = f"received {_received(row)}" if row.received_at else ""
        details = ", ".join(part for part in (_way(row), _at(row), came, seen) if part not in ("", "-"))
        grid.add_row(text(), text(details, "dim"))
        lines.append(grid)
    return lines


def _style(row: TimelineRow) -> str:
    if row.arrival == "never_came":
        return "red"
    if row.exchange is not None and row.exchange.result not in ("2xx", None):
        return "red"
    return _COLOUR_OF_LEVEL.get(row.level or "", "")


def _offset(row: TimelineRow) -> str:
    return "?" if row.offset_s is None else f"{row.offset_s:+.3f}"


def _at(row: TimelineRow) -> str:
    """The provider's time, `~` where it is not the provider's own."""
    if row.occurred_at is None:
        return "-"
    return ("~" if row.occurred_at_quality in _DERIVED else "") + time_of_day(row.occurred_at)


def _received(row: TimelineRow) -> str:
    """How long after its time it came; the time itself where that is unknown."""
    if row.delay_s is not None:
        return f"{seconds(row.delay_s, sign=True)}"
    return time_of_day(row.received_at) if row.received_at else "-"


def _way(row: TimelineRow) -> str:
    return "alert" if row.kind == "alert" else f"{row.sender} → {row.receiver}"


def _what(row: TimelineRow) -> str:
    number = f"#{row.sequence_number} " if row.sequence_number is not None and row.kind == "event" else ""
    late = " (late)" if row.arrival == "late" else ""
    help_ = f" {row.alert.help}" if row.alert is not None and row.alert.help else ""
    return f"{number}{row.text}{late}{help_}"
