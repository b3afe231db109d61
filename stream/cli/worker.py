"""`callstream worker`: the Faust app as a process, on a cluster or on the embedded broker."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys

import click

from stream.cli.support.startup import exit_on_error, log_to_stderr, on_a_broker
from stream.service import settings


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Log more of what it does.")
def command(verbose: bool) -> None:
    """The Faust app: deduplicate, fold, emit, alert. SIGTERM or Ctrl-C stops it cleanly."""
    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with exit_on_error():
        code = loop.run_until_complete(on_a_broker(settings.load(), _serve))
    sys.exit(code)


async def _serve(chosen: settings.Settings) -> int:
    # By name, as `faust -A agents` does: nothing in stream imports the agents. Nor is Faust imported before
    # its version is checked.
    app = importlib.import_module("agents.app").build(chosen)
    process = importlib.import_module("stream.faust_bridge.process")
    return int(await process.serve(app))
