"""Calls a minute by outcome, as stacked columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from stream.api.ui.wording import OUTCOMES, words
from stream.archive.questions import MinuteCount

LEFT, RIGHT, TOP, BOTTOM = 34, 6, 8, 22
"""Margins, for the numbers at the axes."""


class ChartSize(msgspec.Struct, frozen=True):
    """The measures of a chart for one kind of screen, in units of its view box."""

    name: str
    width: int
    height: int
    minutes: int
    marks_min: int


WIDE_CHART = ChartSize("wide", 1120, 190, 60, 10)
NARROW_CHART = ChartSize("narrow", 360, 170, 60, 15)

NOT_ENDED = "not_ended"
STACKED = (*OUTCOMES, NOT_ENDED)
"""From the bottom to the top."""

_STEPS = (1, 2, 5)


class ColumnPart(msgspec.Struct):
    """The calls of one outcome in one minute."""

    outcome: str
    y: float
    height: float


class ChartColumn(msgspec.Struct):
    """One minute. `title`: its numbers in words."""

    x: float
    width: float
    title: str
    parts: list[ColumnPart]


class AxisMark(msgspec.Struct):
    """A number at an axis, and where."""

    at: float
    text: str


class CallChart(msgspec.Struct, kw_only=True):
    """Everything that the template draws. `totals`: calls by outcome, those without calls left out."""

    size: ChartSize
    left: int
    columns: list[ChartColumn]
    across: list[AxisMark]
    up: list[AxisMark]
    totals: dict[str, int]


def call_chart(counts: Sequence[MinuteCount], until: datetime, size: ChartSize) -> CallChart:
    """The chart of whole minutes, up to and with that of `until`."""
    minutes = size.minutes
    last = until.replace(second=0, microsecond=0)
    starts = [last - timedelta(minutes=back) for back in reversed(range(minutes))]
    by_minute: dict[str, dict[str, int]] = {start.strftime("%Y-%m-%dT%H:%M"): {} for start in starts}
    totals: dict[str, int] = {}
    for one in counts:
        outcome = one.outcome or NOT_ENDED
        minute = by_minute.get(one.minute[:16])
        if minute is not None:
            minute[outcome] = minute.get(outcome, 0) + one.count
            totals[outcome] = totals.get(outcome, 0) + one.count
    top, step = _scale(max((sum(minute.values()) for minute in by_minute.values()), default=0))
    unit = (size.height - TOP - BOTTOM) / top
    width = (size.width - LEFT - RIGHT) / minutes
    columns = [
        _column(minute[11:], by_outcome, LEFT + place * width, width, size.height - BOTTOM, unit)
        for place, (minute, by_outcome) in enumerate(by_minute.items())
    ]
    return CallChart(
        size=size,
        left=LEFT,
        columns=[column for column in columns if column.parts],
        across=[
            AxisMark(round(LEFT + (place + 0.5) * width, 1), start.strftime("%H:%M"))
            for place, start in enumerate(starts)
            if start.minute % size.marks_min == 0
            and width / 2 + 16 < (place + 0.5) * width < width * minutes - 16
        ],
        up=[
            AxisMark(round(size.height - BOTTOM - number * unit, 1), str(number))
            for number in range(0, top + 1, step)
        ],
        totals={outcome: totals[outcome] for outcome in STACKED if outcome in totals},
    )


def _column(
    clock: str, by_outcome: dict[str, int], x: float, width: float, y: float, unit: float
) -> ChartColumn:
    parts = []
    for outcome in STACKED:
        height = by_outcome.get(outcome, 0) * unit
        if height:
            y -= height
            parts.append(ColumnPart(outcome, round(y, 2), round(height, 2)))
    said = ", ".join(
        f"{by_outcome[outcome]} {words(outcome)}" for outcome in STACKED if by_outcome.get(outcome)
    )
    return ChartColumn(round(x + width * 0.1, 2), round(width * 0.8, 2), f"{clock} UTC: {said}", parts)


def _scale(most: int) -> tuple[int, int]:
    """The upper end of an axis for numbers up to `most`, and the step of its marks: at most five of them."""
    power = 1
    while True:
        for digit in _STEPS:
            step = digit * power
            if step * 4 >= most:
                return max(step, -(-most // step) * step), step
        power *= 10
