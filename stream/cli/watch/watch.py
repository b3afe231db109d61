"""`callstream watch`: the live view with keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click

from stream.archive.questions import CallFilter
from stream.cli.local.links import listeners, page_url, probed
from stream.cli.local.service_figures import ScrapedFigures
from stream.cli.local.sole_run import addresses_of_run
from stream.cli.query.filters import call_filter, call_filter_options
from stream.cli.query.opening import asked
from stream.cli.query.reader import CallReader
from stream.cli.support.terminal import Misuse, is_interactive
from stream.cli.watch.app import WatchApp
from stream.cli.watch.polling import failures
from stream.service import settings
from stream.service.http.listening import is_this_machine


@click.command("watch")
@call_filter_options
def command(**chosen: Any) -> None:
    """Watch open conditions and failed calls, live. It reads a running callstream and changes nothing.

    Up and down choose, Enter opens a call's timeline, o its page, / filters, v lists by time, p pauses, q
    ends. A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago.
    """
    if not is_interactive():
        raise Misuse("watch needs a terminal; `callstream calls` and `callstream alerts` do not")
    wanted = call_filter(**chosen)
    asked(lambda reader: _watch(reader, failures(wanted)))


async def _watch(reader: CallReader, wanted: CallFilter) -> None:
    chosen = settings.load()
    at = addresses_of_run(chosen.data_dir) or listeners(chosen)
    # An API here runs beside the roles of the settings.
    elsewhere = bool(chosen.api_url) and not is_this_machine(urlsplit(chosen.api_url).hostname or "")
    figures = ScrapedFigures({} if elsewhere else probed(at, polled=True, notified=bool(chosen.notify_sinks)))
    ui_url = chosen.ui_url or chosen.api_url or page_url(at, chosen)
    try:
        await WatchApp(reader, wanted, figures, ui_url=ui_url).show()
    finally:
        await figures.close()
