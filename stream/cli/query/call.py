"""`callstream call`: what happened to one call, from all sources."""

from __future__ import annotations

import click
import msgspec

from stream.cli.query.flight_recorder import flight_recorder
from stream.cli.query.listing import chosen_format, output_options, print_rows, print_view
from stream.cli.query.opening import asked, key_of
from stream.cli.query.reader import CallReader
from stream.cli.support.terminal import Fault, say
from stream.timeline.call_timeline import CallTimeline
from stream.timeline.timeline_of import timeline_of

PIPED_WIDTH = 140


@click.command("call")
@click.argument("part", metavar="KEY")
@output_options
def command(part: str, output: str | None, as_json: bool, no_pager: bool) -> None:
    """Show what happened to one call: its events from all sources in one timeline, with the answers of the
    application, what is missing, and why it failed.

    KEY is the call's key, the provider's id, or any part of it that only this call has.
    """
    form = chosen_format(output, as_json)
    timeline = asked(
        lambda reader: read_timeline(reader, part, as_json=form == "json"), as_json=form == "json"
    )
    if form == "json":
        say(msgspec.json.encode(timeline).decode())
    elif form == "csv":
        print_rows([msgspec.to_builtins(row) for row in timeline.rows], (), form, pager=False)
    else:
        print_view(
            lambda width: flight_recorder(timeline, width), pager=not no_pager, piped_width=PIPED_WIDTH
        )


async def read_timeline(reader: CallReader, part: str, *, as_json: bool = False) -> CallTimeline:
    """The timeline of the only call with this part in its id. Raises Fault and NoAnswerError."""
    key = await key_of(reader, part, as_json=as_json)
    history = await reader.call(key)
    if history is None:
        raise Fault(f"the call {key} is no longer kept", as_json=as_json)
    timeline = timeline_of(history.record, history.events, history.alerts)
    timeline.truncated = timeline.truncated or history.more_events
    return timeline
