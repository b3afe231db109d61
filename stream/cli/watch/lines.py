"""An item of the live view as a line of the terminal: two for a condition."""

from __future__ import annotations

from rich.cells import set_cell_size
from rich.text import Text

from stream.cli.query.words import COLOUR_OF_OUTCOME
from stream.cli.support.drawing import linked, text
from stream.cli.watch.items import WatchItem

WITH_DATE_FROM = 100
"""From this width on a line begins with the date."""

_DATE = len("03-02 ")
_OUTCOME, _CALL, _ENDS, _SEVERITY, _NAME = 9, 20, 27, 8, 12


def line_of(item: WatchItem, width: int) -> Text:
    """The item in at most so many columns."""
    at, *cells = item.cells
    at = at if width >= WITH_DATE_FROM else at[_DATE:]
    if item.alert is not None:
        severity, rule, reason = cells
        urgency = text(f"{set_cell_size(severity, _SEVERITY)} ", item.colour)
        head = _fitted([text(f"{at} "), urgency, linked(text(rule), item.page)], width)
        return Text.assemble(head, "\n", _fitted([text("  "), text(reason, "dim")], width))
    outcome, call, ends, codes, fault = cells
    return _fitted(
        [
            text(f"{at} ", "dim"),
            text(f"{set_cell_size(outcome, _OUTCOME)} ", COLOUR_OF_OUTCOME.get(outcome, "")),
            linked(text(set_cell_size(call, _CALL)), item.page),
            text(" "),
            text(f"{set_cell_size(ends, _ENDS)} "),
            text(f"{codes} "),
            text(fault, "dim"),
        ],
        width,
    )


def address_line(name: str, address: str, style: str = "") -> Text:
    """A name, if there is one, and its address as a link."""
    return Text.assemble(
        text(f"{name:<{_NAME}}" if name else "", "dim"), linked(text(address, style), address)
    )


def _fitted(parts: list[Text], width: int) -> Text:
    line = Text.assemble(*parts)
    line.truncate(width, overflow="ellipsis")
    return line
