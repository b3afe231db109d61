"""`callstream alerts`: what is firing, and what has fired."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec

from stream.archive.questions import AlertFilter, RecordPage
from stream.cli.query.filters import nothing, page_options, span
from stream.cli.query.listing import Column, Row, chosen_format, output_options, print_rows
from stream.cli.query.opening import asked
from stream.cli.query.reader import CallReader
from stream.cli.query.words import COLOUR_OF_SEVERITY, short_id, short_time
from stream.cli.support.exit_codes import FAILED
from stream.cli.support.terminal import Misuse, say
from stream.core.alerting.rules import RULE_IDS, SEVERITIES
from stream.core.alerting.scopes import CONDITIONS

CONDITION_RULES = tuple(dict.fromkeys(one.rule_id for each in CONDITIONS.values() for one in each))


@click.command("alerts")
@click.option("--history", is_flag=True, help="Also what is resolved, newest first.")
@click.option("--state", type=click.Choice(("firing", "resolved")), help="firing, unless --history is given.")
@click.option("--conditions", is_flag=True, help="Not those about one call: what should wake someone.")
@click.option("--rule", type=click.Choice(RULE_IDS))
@click.option("--severity", type=click.Choice(SEVERITIES))
@click.option("--call", "key", metavar="KEY", help="About this call: its whole key.")
@click.option("--account", "accounts", multiple=True, metavar="ID", help="The provider's id of it.")
@click.option("--since", metavar="TIME", help="Begun since this time.")
@click.option("--until", metavar="TIME", help="Begun before this time.")
@click.option("--check", is_flag=True, help="Exit with 1 if any is listed.")
@page_options("Alerts")
@output_options
def command(
    history: bool,
    state: str | None,
    conditions: bool,
    check: bool,
    accounts: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    after: str | None,
    output: str | None,
    as_json: bool,
    no_pager: bool,
    **chosen: Any,
) -> None:
    """List the alerts that are firing; with --history, all that there were.

    A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago.

    \b
    callstream alerts --conditions --check
    callstream alerts --history --rule webhook.failing --since 1d
    """
    if history and state is not None:
        raise Misuse("--history and --state: one of them")
    if conditions and (chosen["rule"] is not None or after is not None):
        raise Misuse("--conditions has neither --rule nor --after")
    form = chosen_format(output, as_json)
    begin, end = span(since, until)
    wanted = AlertFilter(
        accounts=frozenset(accounts) or None,
        since=begin,
        until=end,
        state=None if history else state or "firing",
        **chosen,
    )

    async def ask(reader: CallReader) -> RecordPage:
        if conditions:
            return RecordPage(await read_conditions(reader, wanted, limit), None)
        return await reader.alerts(wanted, limit, after)

    page = asked(ask, as_json=form == "json")
    print_rows(page.items, COLUMNS, form, pager=not no_pager, narrow=NARROW)
    if page.next is not None:
        say(f"There are more: --after {page.next}", err=True)
    elif not page.items:
        say(nothing("alerts", wanted.accounts), err=True)
    if check and page.items:
        raise SystemExit(FAILED)


async def read_conditions(reader: CallReader, wanted: AlertFilter, limit: int) -> list[dict[str, Any]]:
    """The newest alerts about an endpoint or an account. Facts about calls, which are many, are not read."""
    pages = await asyncio.gather(
        *(reader.alerts(msgspec.structs.replace(wanted, rule=rule), limit) for rule in CONDITION_RULES)
    )
    found = [alert for page in pages for alert in page.items]
    return sorted(found, key=lambda alert: str(alert.get("starts_at")), reverse=True)[:limit]


def about(alert: Row, kept: int = 8) -> str:
    """The call or the scope that an alert is about. `kept`: as in `short_id`."""
    return short_id(str((alert.get("scope") or {}).get("id") or "-"), kept)


def _fires(alert: Row) -> bool:
    return alert.get("state") == "firing"


def _severity(alert: Row) -> tuple[str, str]:
    severity = str(alert.get("severity"))
    return severity, COLOUR_OF_SEVERITY.get(severity, "dim") if _fires(alert) else "dim"


_RULE = Column("rule", lambda alert: (str((alert.get("rule") or {}).get("id")), ""))
_REASON = Column("reason", lambda alert: (str((alert.get("reason") or {}).get("text") or ""), ""))

COLUMNS = (
    Column("since UTC", lambda alert: (short_time(alert.get("starts_at")), "dim")),
    Column("severity", _severity),
    Column("state", lambda alert: (str(alert.get("state")), "" if _fires(alert) else "dim")),
    _RULE,
    Column("about", lambda alert: (about(alert), "")),
    Column("count", lambda alert: (str(alert.get("occurrences", 1)), ""), right=True),
    _REASON,
)
NARROW = (
    Column("since UTC", lambda alert: (short_time(alert.get("starts_at"))[:-3], "dim")),
    Column(
        "severity", lambda alert: _severity(alert) if alert.get("state") == "firing" else ("resolved", "dim")
    ),
    _RULE,
    Column("call", lambda alert: (about(alert, 4) if alert.get("call") else "-", "")),
    _REASON,
)
"""For 80 columns. What a condition is about is in its reason."""
