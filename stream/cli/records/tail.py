"""`callstream tail`: the records of a topic, one a line, as a read_committed consumer sees them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from dataclasses import asdict
from difflib import get_close_matches

import click
import orjson

from stream.cli.records.record_filter import RecordFilter, colour_of, record_filter
from stream.cli.support.startup import exit_on_error, naming_obstacle, quiet_clients, required_bootstrap
from stream.cli.support.terminal import Misuse, say
from stream.core.events import DecodeError
from stream.core.privacy.masking import Privacy
from stream.kafka import topics
from stream.kafka.client.connection import Connection, connection
from stream.kafka.topic_reader import records, require_topic
from stream.service import settings

BINARY = ("ticks", "changelog")
"""Topics without anything that a person reads."""

AS_RECEIVED = ("callbacks", "polled", "dead_letters")
"""Topics of what the providers sent, with its numbers and secrets. All others are masked by the worker."""

ANSWER_S = 10.0

_BLANKS = {ord(letter): " " for letter in "\t\n\r"}


@click.command()
@click.argument("topic")
@click.option("-n", "--count", type=click.IntRange(1), help="Stop after this many records.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest record instead of the next one.")
@click.option(
    "--follow/--no-follow", default=True, help="Wait for more (default), or stop at the end of the topic."
)
@click.option("--keys", is_flag=True, help="Print the key before the value.")
@click.option("--key", "parts", multiple=True, metavar="PART", help="Only records whose key contains this.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only records with this value in a field.",
)
@click.option("--raw", is_flag=True, help="Do not mask what the providers sent: numbers, names, secrets.")
def command(
    topic: str,
    count: int | None,
    from_beginning: bool,
    follow: bool,
    keys: bool,
    parts: tuple[str, ...],
    conditions: tuple[str, ...],
    raw: bool,
) -> None:
    """Print the records of TOPIC, one JSON value a line.

    TOPIC is callbacks, polled, events, ended, alerts, alerts_active, fetches, polling, scopes or
    dead_letters, or a full name such as calls.alerts.v1. In callbacks, polled and dead_letters numbers, names
    and secrets are masked unless --raw is given.

    --where takes the path of a field, and may come several times: values of one field are alternatives, and
    all fields must agree. On a terminal errors and failures are red, warnings yellow.

    \b
    callstream tail alerts --where rule.id=webhook.failing --where state=firing
    callstream tail events --key bcc6def1 --from-beginning --no-follow
    """
    quiet_clients()
    wanted = record_filter(parts, conditions)
    with exit_on_error():
        chosen = settings.load()
        role, name = resolved(topic, chosen.topic_prefix)
        privacy = None if raw or role not in AS_RECEIVED else Privacy()
        cluster = connection(chosen, "tail", required_bootstrap(chosen))
        try:
            with naming_obstacle(cluster):
                asyncio.run(_print(cluster, name, count, from_beginning, follow, keys, privacy, wanted))
        except (KeyboardInterrupt, BrokenPipeError):
            sys.stderr.close()  # `| head` closed the pipe


def resolved(word: str, prefix: str) -> tuple[str, str]:
    """(role of the topic, its full name) of a word. Raises Misuse with the likeliest other word."""
    known = {role: name for role, name in asdict(topics.names(prefix)).items() if role not in BINARY}
    spellings = {spelled: role for role, name in known.items() for spelled in _spellings(role, name)}
    role = spellings.get(word)
    if role is None:
        meant = get_close_matches(word, spellings, n=1)
        hint = f"did you mean {meant[0]}?" if meant else f"it is one of {', '.join(known)}"
        raise Misuse(f"no topic {word}: {hint}")
    return role, known[role]


def _spellings(role: str, name: str) -> tuple[str, ...]:
    return role, role.replace("_", "-"), role.replace("_", "."), name


async def _print(
    cluster: Connection,
    topic: str,
    count: int | None,
    from_beginning: bool,
    follow: bool,
    keys: bool,
    privacy: Privacy | None,
    wanted: RecordFilter,
) -> None:
    await require_topic(cluster, topic, within_s=ANSWER_S)
    left = count
    async with aclosing(records(cluster, topic, from_beginning=from_beginning, follow=follow)) as found:
        async for record in found:
            key, value = cells(record.key, record.value, privacy)
            if not wanted.takes(key, value):
                continue
            say(*(key, value)[not keys :], colour=colour_of(value))
            if left is not None:
                left -= 1
                if not left:
                    return


def cells(key: bytes | None, value: bytes | None, privacy: Privacy | None = None) -> list[str]:
    """Key and value for one line, masked if `privacy` is given. JSON of several lines is put on one."""
    text = (value or b"null").decode("utf-8", "replace")
    if privacy is not None:
        text = _masked(text, privacy)
    if "\n" in text or "\r" in text or "\t" in text:
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        else:
            text = text.translate(_BLANKS)  # within a string JSON escapes them
    return [(key or b"").decode("utf-8", "replace"), text]


def _masked(text: str, privacy: Privacy) -> str:
    """A value, masked. Of an envelope each part is, because `body` alone names a message's text."""
    try:
        value = orjson.loads(text)
        if isinstance(value, dict) and isinstance(value.get("body"), dict):
            masked = {name: privacy.json(part) for name, part in value.items()}
        else:
            masked = privacy.json(value)
        return orjson.dumps(masked).decode()
    except (orjson.JSONDecodeError, DecodeError, RecursionError):
        return privacy.text(text)
