"""The options that select calls, and the filter that they mean. Their names are those of the query API."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import click

from stream.archive.questions import CallFilter
from stream.cli.support.finite_range import FiniteRange
from stream.cli.support.terminal import Misuse
from stream.cli.support.time_args import parse_time
from stream.core.sources import PROVIDERS
from stream.core.statuses import STATUSES
from stream.core.timestamps import SECOND_US
from stream.core.verdicts.table import FAULTS
from stream.service.metrics.label_values import OUTCOMES

MOST = 500
"""Items of a page, as the query API bounds it."""

NOT_ANSWERED = tuple(outcome for outcome in OUTCOMES if outcome != "answered")


def call_filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """All of them. `call_filter` takes their values."""
    for option in (
        click.option("--incomplete", is_flag=True, help="A source or a callback is missing."),
        click.option("--complete", is_flag=True, help="Nothing of the call is missing."),
        click.option("--max-duration", type=FiniteRange(0), metavar="SECONDS", help="At most so much talk."),
        click.option("--min-duration", type=FiniteRange(0), metavar="SECONDS", help="So much talk or more."),
        click.option("--error-code", metavar="CODE", help="The provider's error code."),
        click.option("--sip", type=click.IntRange(100, 699), metavar="CODE", help="The SIP response code."),
        click.option("--number", metavar="NUMBER", help="Of one end, whole or as it is shown."),
        click.option("--account", "accounts", multiple=True, metavar="ID", help="The provider's id of it."),
        click.option("--provider", type=click.Choice(tuple(PROVIDERS))),
        click.option("--direction", type=click.Choice(("inbound", "outbound"))),
        click.option("--fault", "faults", multiple=True, type=click.Choice(FAULTS), help="Of the verdict."),
        click.option("--failed", is_flag=True, help="All that was not answered."),
        click.option("--outcome", "outcomes", multiple=True, type=click.Choice(OUTCOMES)),
        click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES)),
        click.option("--until", metavar="TIME", help="Begun before this time."),
        click.option("--since", metavar="TIME", help="Begun since this time."),
    ):
        command = option(command)
    return command


def call_filter(
    *,
    since: str | None,
    until: str | None,
    statuses: tuple[str, ...],
    outcomes: tuple[str, ...],
    failed: bool,
    faults: tuple[str, ...],
    direction: str | None,
    provider: str | None,
    accounts: tuple[str, ...],
    number: str | None,
    sip: int | None,
    error_code: str | None,
    min_duration: float | None,
    max_duration: float | None,
    complete: bool,
    incomplete: bool,
) -> CallFilter:
    """Raises Misuse."""
    if failed and outcomes:
        raise Misuse("--failed and --outcome: one of them")
    if complete and incomplete:
        raise Misuse("--complete and --incomplete: one of them")
    begin, end = span(since, until)
    return CallFilter(
        accounts=frozenset(accounts) or None,
        provider=provider,
        since=begin,
        until=end,
        status=statuses,
        outcome=NOT_ANSWERED if failed else outcomes,
        fault=faults,
        direction=direction,
        number=number,
        sip_response_code=sip,
        error_code=error_code,
        min_duration_s=min_duration,
        max_duration_s=max_duration,
        complete=complete if complete or incomplete else None,
    )


def nothing(of_what: str, accounts: Collection[str] | None) -> str:
    """Said where a list is empty. Alerts, metrics and tables have an account's name."""
    if not accounts:
        return f"No {of_what}."
    return f"No {of_what}: --account takes the provider's id of an account, not its name."


def span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """`since` and `until` of a filter. Raises Misuse, also for a span without any time."""
    begin, end = _moment(since), _moment(until)
    if begin is not None and end is not None and begin >= end:
        raise Misuse("--since must be before --until")
    return begin, end


def _moment(text: str | None) -> datetime | None:
    """A time as a person types it. Raises Misuse."""
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(parse_time(text, time.time_ns() // 1000) / SECOND_US, UTC)
    except (ValueError, OverflowError) as error:
        raise Misuse(str(error)) from None


def page_options(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--limit` and `--after`."""

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        limit: Any = click.IntRange(1, MOST)
        command = click.option("--after", metavar="CURSOR", help="The page behind this one, as printed.")(
            command
        )
        return click.option(
            "-n", "--limit", type=limit, default=50, show_default=True, help=f"{what} of a page."
        )(command)

    return with_options
