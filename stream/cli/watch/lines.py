"""An item of the live view as a line of the terminal: two for a condition."""

from __future__ import annotations

from rich.cells import set_cell_size
from rich.text import Text

from stream.cli.query.words import COLOUR_OF_OUTCOME
from stream.cli.support.drawing import text
from stream.cli.watch.items import WatchItem

WITH_DATE_FROM = 100
"""From this width on a line begins with the date."""

_DATE = len("03-02 ")
_OUTCOME, _CALL, _ENDS, _SEVERITY = 9, 20, 27, 8


def line_of(item: WatchItem, width: int) -> Text:
    """The item in at most so many columns."""
    at, *cells = item.cells
    at = at if width >= WITH_DATE_FROM else at[_DATE:]
    if item.alert is not None:
        severity, rule, reason = cells
        head = _fitted(
            [text(f"{at} "), text(f"{set_cell_size(severity, _SEVERITY)} ", item.colour), text(rule)], width
        )
        return Text.assemble(head, "\n", _fitted([text("  "), text(reason, "dim")], width))
    outcome, call, ends, codes, fault = cells
    return _fitted(
        [
            text(f"{at} ", "dim"),
            text(f"{set_cell_size(outcome, _OUTCOME)} ", COLOUR_OF_OUTCOME.get(outcome, "")),
            text(f"{set_cell_size(call, _CALL)} "),
            text(f"{set_cell_size(ends, _ENDS)} "),
            text(f"{codes} "),
            text(fault, "dim"),
        ],
        width,
    )


def _fitted(parts: list[Text], width: int) -> Text:
    line = Text.assemble(*parts)
    line.truncate(width, overflow="ellipsis")
    return line
