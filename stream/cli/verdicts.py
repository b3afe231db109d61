"""`callstream verdicts`: the table that says whose fault it was that a call did not succeed."""

from __future__ import annotations

import json

import click
from msgspec.structs import asdict

from stream.cli.support.terminal import say
from stream.core.verdicts.table import FAULTS, HELP, RUNGS, SOURCES, TABLE


@click.command("verdicts")
@click.option("--fault", type=click.Choice(FAULTS), help="Only the rows that speak for this fault.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def command(fault: str | None, as_json: bool) -> None:
    """Print the table by which a call's verdict is decided, and what each verdict asks of you.

    The first rung that says something decides. Within a rung, the first row of a fact whose conditions hold.
    """
    rows = [row for row in TABLE if fault in (None, row.fault)]
    if as_json:
        told = {"rungs": RUNGS, "rows": [asdict(row) for row in rows], "help": HELP, "sources": SOURCES}
        say(json.dumps(told))
        return
    rung = 0
    for row in rows:
        if row.rung != rung:
            rung = row.rung
            say(f"{rung}. {RUNGS[rung]}")
        says = f"{row.fault} {row.confidence}".strip()
        say(f"   {says:<20} {row.fact} {row.values}")
        if row.conditions:
            say(f"{'':<23} {row.conditions}")
        say(f"{'':<23} {row.reason} [{row.mark}]")
    for one in (fault,) if fault is not None else FAULTS:
        say(f"{one}: {HELP[one]}")
