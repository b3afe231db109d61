"""`callstream calls`: a list of calls, newest first."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from stream.archive.questions import StoredCall
from stream.cli.query.filters import call_filter, call_filter_options, nothing, page_options
from stream.cli.query.listing import Column, Row, chosen_format, output_options, print_rows
from stream.cli.query.opening import asked
from stream.cli.query.words import COLOUR_OF_FAULT, COLOUR_OF_OUTCOME, seconds, short_id, short_time
from stream.cli.support.terminal import say


@click.command("calls")
@call_filter_options
@page_options("Calls")
@output_options
def command(
    limit: int, after: str | None, output: str | None, as_json: bool, no_pager: bool, **chosen: Any
) -> None:
    """List calls, newest first.

    A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago. Options that can come several times mean
    any of their values.

    \b
    callstream calls --failed --since 1h
    callstream calls --fault application --sip 503 --json
    """
    form = chosen_format(output, as_json)
    wanted = call_filter(**chosen)
    page = asked(lambda reader: reader.calls(wanted, limit, after), as_json=form == "json")
    rows = [_row(one) for one in page.items]
    print_rows(rows, COLUMNS, form, pager=not no_pager, narrow=NARROW)
    if page.next is not None:
        say(f"There are more: --after {page.next}", err=True)
    elif not rows:
        say(nothing("calls", wanted.accounts), err=True)


def _row(call: StoredCall) -> Row:
    row: Row = msgspec.to_builtins(call)
    del row["record"]  # `callstream call` shows it
    return row


def _status(row: Row) -> tuple[str, str]:
    outcome = row["outcome"]
    return str(outcome or row["status"] or "-"), COLOUR_OF_OUTCOME.get(outcome or "", "")


def _codes(row: Row) -> tuple[str, str]:
    sip = [f"SIP {row['sip_response_code']}"] if row["sip_response_code"] not in (None, 200) else []
    return " ".join([*sip, *row["error_codes"]]) or "-", ""


_FROM = Column("from", lambda row: (row["from"] or "-", ""))
_TO = Column("to", lambda row: (row["to"] or "-", ""))
_OUTCOME = Column("outcome", _status)
_FAULT = Column("fault", lambda row: (row["fault"] or "-", COLOUR_OF_FAULT.get(row["fault"] or "", "")))
_CODES = Column("codes", _codes)

COLUMNS = (
    Column("started UTC", lambda row: (short_time(row["started_at"]), "dim")),
    Column("call", lambda row: (short_id(row["key"]), "")),
    Column("dir", lambda row: ({"inbound": "in", "outbound": "out"}.get(row["direction"], "-"), "dim")),
    *(_FROM, _TO, _OUTCOME, _FAULT, _CODES),
    Column("talk", lambda row: (seconds(row["duration_s"]), ""), right=True),
)
NARROW = (
    Column("started UTC", lambda row: (short_time(row["started_at"])[:-3], "dim")),
    Column("call", lambda row: (short_id(row["call_id"], 4), "")),
    *(_FROM, _TO, _OUTCOME, _FAULT, _CODES),
)
"""For 80 columns, with masked numbers."""
