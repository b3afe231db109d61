"""`callstream watch`: the live view with keys."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from msgspec.structs import replace

from stream.archive.questions import CallFilter
from stream.cli.query.filters import NOT_ANSWERED, call_filter, call_filter_options
from stream.cli.query.opening import asked
from stream.cli.query.reader import CallReader
from stream.cli.support.terminal import Misuse
from stream.cli.watch.app import WatchApp


@click.command("watch")
@call_filter_options
def command(**chosen: Any) -> None:
    """Watch open conditions and failed calls, live. It reads a running callstream and changes nothing.

    Up and down choose, Enter opens a call's timeline, / filters, v lists by time, p pauses, q ends.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Misuse("watch needs a terminal; `callstream calls` and `callstream alerts` do not")
    wanted = call_filter(**chosen)
    asked(lambda reader: _watch(reader, wanted if wanted.outcome else replace(wanted, outcome=NOT_ANSWERED)))


async def _watch(reader: CallReader, wanted: CallFilter) -> None:
    await WatchApp(reader, wanted, lambda: time.strftime("%H:%M:%S")).run_async()
