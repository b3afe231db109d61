"""`callstream worker`: the Faust app as a process, on a cluster or on the embedded broker."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import logging
import sys

import click

from stream.cli.repeats import Repeats
from stream.runtime import settings, topics
from stream.runtime.broker import BrokerError, embedded
from stream.runtime.health import ListenError
from stream.runtime.lanes import process


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Say more of what it does.")
def command(verbose: bool) -> None:
    """The Faust app: deduplicate, fold, emit, alert. SIGTERM or Ctrl-C stops it cleanly."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())
    logging.getLogger("callstream").setLevel(logging.INFO)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        code = loop.run_until_complete(_work(settings.load()))
    except (settings.SettingsError, BrokerError, topics.TopicError, ListenError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(code)


async def _work(chosen: settings.Settings) -> int:
    async with embedded(chosen, say=lambda line: click.echo(line, err=True)) as broker:
        chosen = dataclasses.replace(chosen, kafka=broker.bootstrap)
        await topics.ensure(chosen.kafka, chosen)
        # By name, as `faust -A agents` does: nothing in stream imports the agents.
        app = importlib.import_module("agents.app").build(chosen)
        return await process.serve(app)
