"""How a list is printed: a table for a person, JSON or CSV for a program, a pager where it is long."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec
from rich.console import RenderableType
from rich.table import Table

from stream.cli.support.drawing import PlainConsole, paged, text
from stream.cli.support.terminal import Misuse, say

FORMATS = ("table", "json", "csv")
WIDE = 116
"""Columns from which on a table has all of its own."""

UNBOUNDED = 10_000
"""Columns where the output is not a terminal: nothing is cut or wrapped for a program."""

Row = dict[str, Any]


class Column:
    """A column of a table. `shown`: its cell and the style of it, from a row."""

    def __init__(self, name: str, shown: Callable[[Row], tuple[str, str]], *, right: bool = False) -> None:
        self.name = name
        self.shown = shown
        self.right = right


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--output`, `--json` and `--no-pager`."""
    for option in (
        click.option(
            "--no-pager", is_flag=True, help="Print everything, even if it is longer than the screen."
        ),
        click.option("--json", "as_json", is_flag=True, help="The same as --output json."),
        click.option(
            "-o",
            "--output",
            type=click.Choice(FORMATS),
            help="table (default), json (one object a line), or csv.",
        ),
    ):
        command = option(command)
    return command


def chosen_format(output: str | None, as_json: bool) -> str:
    if as_json and output not in (None, "json"):
        raise Misuse(f"--json and --output {output}: one of them")
    return "json" if as_json else output or "table"


def print_rows(
    rows: Sequence[Row],
    columns: Sequence[Column],
    form: str,
    *,
    pager: bool,
    narrow: Sequence[Column] = (),
) -> None:
    """The rows, which are JSON values, in a format. CSV has all fields of a row that are not lists.

    - `narrow`: the columns for less than `WIDE`.
    """
    if form == "json":
        for row in rows:
            say(msgspec.json.encode(row).decode())
    elif form == "csv":
        _print_csv(rows)
    elif rows:
        print_view(lambda width: _table(rows, columns if width >= WIDE else narrow), pager=pager)


def print_view(view: Callable[[int], RenderableType], *, pager: bool, piped_width: int = UNBOUNDED) -> None:
    """A view of a given width: the terminal's, else `piped_width`. On a terminal that it does not fit, it is
    shown in a pager.
    """
    console = PlainConsole()
    if not console.is_terminal:
        console = PlainConsole(width=piped_width, color_system=None)
        with console.capture() as shown:
            console.print(view(piped_width))
        for line in shown.get().rstrip("\n").split("\n"):
            say(line.rstrip())
        return
    drawn = view(console.width)
    if pager and len(console.render_lines(drawn)) >= console.height:
        paged(console, drawn)
    else:
        console.print(drawn)


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(text(column.name), justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(text(*column.shown(row)) for column in columns))
    return table


def _print_csv(rows: Sequence[Row]) -> None:
    """RFC 4180, but for its line ends. A line break in a value is escaped, so that a row is a line."""
    if not rows:
        return
    names = [name for name, value in rows[0].items() if not isinstance(value, list | dict)]
    names += [name for name, value in rows[0].items() if isinstance(value, list) and name == "error_codes"]
    for row in ({name: name for name in names}, *rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_cell(row.get(name)) for name in names])
        say(line.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
