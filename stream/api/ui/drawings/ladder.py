"""The ladder of one call: a lifeline for each party, time runs down, an arrow for each thing that happened.

Distances between rungs follow the time between them, up to a limit: a longer time is a break with its length
in words. So ten rungs fit on a screen, whether the call took two seconds or two hours.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from stream.api.ui.wording import duration, offset
from stream.timeline.call_timeline import (
    APPLICATION,
    CALLSTREAM,
    PROVIDER,
    CallTimeline,
    TimelineRow,
)
from stream.timeline.wording import request_of

Tone = Literal["usual", "good", "warning", "bad", "absent"]

MOST_RUNGS = 400
FIRST_RUNGS = 300
"""Of a longer call the first and the last rungs are drawn."""

PIXELS_A_SECOND = 8.0
CHARACTER = 0.56
"""Width of a character of a proportional font, in its size: what fits is cut by this estimate."""

ELLIPSIS = "…"
TITLES = {PROVIDER: "Provider", CALLSTREAM: "callstream", APPLICATION: "Your application"}
EDGE = "edges"
"""The one lifeline of all edges, where there is no room for one each."""


class LadderSize(msgspec.Struct, frozen=True, kw_only=True):
    """The measures of a ladder for one kind of screen, in units of its view box."""

    name: str
    width: int
    left: int
    right: int
    gutter: int
    font: float
    step: float
    widest_gap: float
    head: int
    edges: int


WIDE = LadderSize(
    name="wide",
    width=1120,
    left=170,
    right=1020,
    gutter=78,
    font=13,
    step=36,
    widest_gap=52,
    head=46,
    edges=4,
)
NARROW = LadderSize(
    name="narrow",
    width=340,
    left=68,
    right=306,
    gutter=44,
    font=11.5,
    step=34,
    widest_gap=32,
    head=34,
    edges=1,
)


class Lifeline(msgspec.Struct):
    """A party and where its line stands."""

    party: str
    title: str
    x: float


class Rung(msgspec.Struct, kw_only=True):
    """A row of the timeline as it is drawn. `number`: of the row, from 0.

    - `x1`, `x2`: from the sender's lifeline to the receiver's; equal where both are one.
    - `label_x`, `anchor`: where its label begins (`start`) or ends (`end`).
    """

    number: int
    row: TimelineRow
    y: float
    x1: float
    x2: float
    offset: str
    label: str
    label_x: float
    anchor: Literal["start", "end"]
    tone: Tone
    is_read: bool
    is_absent: bool
    is_alert: bool


class TimeBreak(msgspec.Struct):
    """A time that is drawn shorter than it was."""

    y: float
    text: str


class PhaseBar(msgspec.Struct):
    """Ringing or talking, on the provider's lifeline."""

    name: str
    x: float
    y1: float
    y2: float
    title: str


class Ladder(msgspec.Struct, kw_only=True):
    """Everything that the template draws. `left_out`: rows in the middle that are not drawn."""

    size: LadderSize
    height: float
    top: float
    bottom: float
    lifelines: list[Lifeline]
    rungs: list[Rung]
    breaks: list[TimeBreak]
    bars: list[PhaseBar]
    left_out: int


def ladder(timeline: CallTimeline, size: LadderSize) -> Ladder:
    """The ladder of a call on a screen of this size."""
    numbered = drawn_rows(timeline.rows)
    left_out = len(timeline.rows) - len(numbered)
    lifelines = _lifelines([row for _, row in numbered], size)
    xs = {one.party: one.x for one in lifelines}
    ys, breaks = _heights(numbered, size)
    rungs = [_rung(number, row, y, xs, size) for (number, row), y in zip(numbered, ys, strict=True)]
    bottom = (ys[-1] if ys else float(size.head)) + size.step * 0.7
    return Ladder(
        size=size,
        height=bottom + 6,
        top=float(size.head),
        bottom=bottom,
        lifelines=lifelines,
        rungs=rungs,
        breaks=breaks,
        bars=_phase_bars(
            timeline, [(row.position_s, y) for (_, row), y in zip(numbered, ys, strict=True)], xs
        ),
        left_out=left_out,
    )


def drawn_rows(rows: list[TimelineRow]) -> list[tuple[int, TimelineRow]]:
    """The rows that are shown, with their numbers: all, or the first and the last of very many."""
    numbered = list(enumerate(rows))
    if len(numbered) <= MOST_RUNGS:
        return numbered
    return numbered[:FIRST_RUNGS] + numbered[FIRST_RUNGS - MOST_RUNGS :]


def _lifelines(rows: list[TimelineRow], size: LadderSize) -> list[Lifeline]:
    """From the phone network to callstream; edges and application only where something is about them."""
    named = {party for row in rows for party in (row.sender, row.receiver)}
    edges = sorted(named - TITLES.keys())
    if len(edges) > size.edges:
        edges = [EDGE]
    parties = [*edges, PROVIDER, *([APPLICATION] if APPLICATION in named else []), CALLSTREAM]
    apart = (size.right - size.left) / (len(parties) - 1)
    titles = {**TITLES, EDGE: "Edges", **({APPLICATION: "Your app"} if size is NARROW else {})}
    return [
        Lifeline(party, titles.get(party) or _edge_title(party), round(size.left + place * apart, 1))
        for place, party in enumerate(parties)
    ]


def _edge_title(edge: str) -> str:
    return cut(edge.replace("_", " ").capitalize(), 16)


def _heights(
    numbered: list[tuple[int, TimelineRow]], size: LadderSize
) -> tuple[list[float], list[TimeBreak]]:
    """Where each row stands, and the breaks between them."""
    ys: list[float] = []
    breaks = []
    y = size.head + size.step * 0.9
    for place, (number, row) in enumerate(numbered):
        if place:
            before, earlier = numbered[place - 1]
            passed_s = max(0.0, row.position_s - earlier.position_s)
            more = passed_s * PIXELS_A_SECOND
            left_out = number - before - 1
            if more > size.widest_gap or left_out:
                words = f"{left_out} more, " if left_out else ""
                breaks.append(
                    TimeBreak(round(y + (size.step + size.widest_gap) * 0.36, 1), words + duration(passed_s))
                )
                more = size.widest_gap
            y += size.step + more
        ys.append(round(y, 1))
    return ys, breaks


def _rung(number: int, row: TimelineRow, y: float, xs: dict[str, float], size: LadderSize) -> Rung:
    x1, x2 = (xs.get(party, xs.get(EDGE, xs[PROVIDER])) for party in (row.sender, row.receiver))
    marks = ["late"] if row.arrival == "late" else []
    leftmost, to_the_left = min(x1, x2), x1 == x2 and x1 > size.width / 2
    label_x = leftmost - 14 if to_the_left else leftmost + (14 if x1 == x2 else 10)
    room = label_x - size.gutter if to_the_left else size.width - label_x - 4
    suffix = "".join(f" · {mark}" for mark in marks)
    fits = max(8, int(room / (size.font * CHARACTER)) - len(suffix))
    return Rung(
        number=number,
        row=row,
        y=y,
        x1=x1,
        x2=x2,
        offset=offset(row.offset_s),
        label=cut(_label(row, size), fits) + suffix,
        label_x=label_x,
        anchor="end" if to_the_left else "start",
        tone=tone_of(row),
        is_read=row.arrival == "read",
        is_absent=row.arrival == "never_came",
        is_alert=row.kind == "alert",
    )


def _label(row: TimelineRow, size: LadderSize) -> str:
    """What fits: the table beside the ladder has the whole text."""
    if row.exchange is not None and row.kind == "event":
        path = urlsplit(row.exchange.url or "").path
        where = path or ("/" if row.exchange.url else None)
        said = request_of(msgspec.structs.replace(row.exchange, url=where))
        return f"{said}, code {row.error_code}" if row.error_code else said
    if row.alert is not None and size is NARROW:
        return f"{row.alert.state} {row.alert.rule}"
    return row.text or row.name


def tone_of(row: TimelineRow) -> Tone:
    """How a row looks. Each tone but the usual one is said in words, too."""
    if row.arrival == "never_came":
        return "absent"
    if row.alert is not None:
        return "usual" if row.alert.state == "resolved" else "warning"
    result = row.exchange.result if row.exchange is not None else None
    if row.level == "error" or result in ("4xx", "5xx", "timeout", "none") or row.status == "failed":
        return "bad"
    if row.level == "warning" or row.arrival == "late":
        return "warning"
    return "good" if row.status in ("in-progress", "completed") or result == "2xx" else "usual"


def _phase_bars(
    timeline: CallTimeline, known: list[tuple[float, float]], xs: dict[str, float]
) -> list[PhaseBar]:
    """`known`: positions in seconds with their heights, ascending."""
    at = {one.name: one.offset_s for one in timeline.phases}
    bars = []
    for name, begin, end in (
        ("ringing", at.get("ringing"), at.get("answered")),
        ("talk", at.get("answered"), at.get("ended")),
    ):
        if begin is not None and end is not None and end > begin and known:
            title = f"{name} {duration(end - begin)}"
            bars.append(PhaseBar(name, xs[PROVIDER], _between(known, begin), _between(known, end), title))
    return bars


def _between(known: list[tuple[float, float]], position_s: float) -> float:
    """The height of a position, by the heights of its neighbours."""
    before = known[0]
    for after in known:
        if after[0] >= position_s:
            if after[0] == before[0]:
                return after[1]
            part = (position_s - before[0]) / (after[0] - before[0])
            return round(before[1] + max(0.0, part) * (after[1] - before[1]), 1)
        before = after
    return before[1]


def cut(text: str, longest: int) -> str:
    """The text, or its beginning with a mark that there is more."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + ELLIPSIS
