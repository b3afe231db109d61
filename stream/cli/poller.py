"""`callstream poller`: the providers' REST resources, read within their budgets and landed in Kafka."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys

import click
from aiokafka.errors import KafkaError

from stream.cli.repeats import Repeats
from stream.polling import role
from stream.runtime import settings, topics
from stream.runtime.broker import BrokerError, embedded
from stream.runtime.health import ListenError


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Say more of what it does.")
def command(verbose: bool) -> None:
    """Read the providers' resources, by window and on demand. SIGTERM or Ctrl-C stops it cleanly."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())
    logging.getLogger("callstream").setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        code = asyncio.run(_work(settings.load()))
    except (settings.SettingsError, BrokerError, topics.TopicError, ListenError) as error:
        raise click.ClickException(str(error)) from None
    except KafkaError as error:
        raise click.ClickException(f"the broker does not answer: {error}") from None
    sys.exit(code)


async def _work(chosen: settings.Settings) -> int:
    async with embedded(chosen, say=lambda line: click.echo(line, err=True)) as broker:
        chosen = dataclasses.replace(chosen, kafka=broker.bootstrap)
        await topics.ensure(chosen.kafka, chosen)
        return await role.serve(chosen)
