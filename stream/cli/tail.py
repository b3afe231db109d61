"""`callstream tail`: the records of a topic, one a line, as a read_committed consumer sees them."""

from __future__ import annotations

import asyncio
import sys

import click
import orjson

from stream.cli.support.startup import NO_BROKER, known_bootstrap
from stream.cli.support.terminal import Fault, say
from stream.kafka import topics
from stream.kafka.topic_reader import records
from stream.service import settings

TOPICS = (
    *("callbacks", "polled", "events", "ended", "alerts", "alerts_active"),
    *("fetches", "polling", "dead_letters"),
)

_BLANKS = {ord(letter): " " for letter in "\t\n\r"}


@click.command()
@click.argument("topic", type=click.Choice(TOPICS))
@click.option("-n", "--count", type=click.IntRange(1), help="Stop after this many records.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest record instead of the next one.")
@click.option("--no-follow", is_flag=True, help="Stop at the end instead of waiting for more.")
@click.option("--keys", is_flag=True, help="Print the key before the value.")
def command(topic: str, count: int | None, from_beginning: bool, no_follow: bool, keys: bool) -> None:
    """Print the records of TOPIC, one JSON value a line."""
    try:
        chosen = settings.load()
    except settings.SettingsError as error:
        raise Fault(str(error)) from None
    bootstrap = known_bootstrap(chosen)
    if bootstrap is None:
        raise Fault(NO_BROKER)
    name = getattr(topics.names(chosen.topic_prefix), topic)
    try:
        asyncio.run(_print(bootstrap, name, count, from_beginning, not no_follow, keys))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.close()  # `| head` closed the pipe


async def _print(
    bootstrap: str, topic: str, count: int | None, from_beginning: bool, follow: bool, keys: bool
) -> None:
    left = count
    async for record in records(
        {"bootstrap_servers": bootstrap}, topic, from_beginning=from_beginning, follow=follow or bool(count)
    ):
        say(*cells(record.key, record.value) if keys else cells(record.key, record.value)[1:])
        if left is not None:
            left -= 1
            if not left:
                return


def cells(key: bytes | None, value: bytes | None) -> list[str]:
    """Key and value for one line. JSON of several lines is the same JSON on one line."""
    text = (value or b"null").decode("utf-8", "replace")
    if "\n" in text or "\r" in text or "\t" in text:
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        else:
            text = text.translate(_BLANKS)  # within a string JSON escapes them
    return [(key or b"").decode("utf-8", "replace"), text]
