"""`callstream topics`: creates the topics, or names the first that does not match."""

from __future__ import annotations

import asyncio
import json
from dataclasses import astuple, fields

import click

from stream.broker import BrokerError, embedded
from stream.cli.support.terminal import say
from stream.kafka.topics import POLICIES, TopicError, TopicMismatch, ensure, names
from stream.service.settings import Settings, SettingsError, load


@click.command("topics")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def command(as_json: bool) -> None:
    """Create the topics, or say what does not match.

    Exit code 0: every topic exists and matches. 1: no cluster, or it refuses. 2: a setting is wrong.
    3: a topic has a different number of partitions or a different policy than it needs.
    """
    try:
        settings = load()
        made = asyncio.run(_ensure(settings))
    except SettingsError as error:
        _fail(2, str(error), as_json)
    except TopicMismatch as error:
        _fail(3, str(error), as_json, topic=error.topic, wanted=error.wanted, found=error.found)
    except (BrokerError, TopicError) as error:
        _fail(1, str(error), as_json)
    _show(settings, made, as_json)


async def _ensure(settings: Settings) -> list[str]:
    async with embedded(settings, say=lambda line: say(line, err=True)) as broker:
        return await ensure(broker.bootstrap, settings)


def _show(settings: Settings, made: list[str], as_json: bool) -> None:
    topics = names(settings.topic_prefix)
    rows = [
        {
            "topic": name,
            "partitions": settings.partitions,
            "policy": POLICIES[about.name]["cleanup.policy"],
            "created": name in made,
        }
        for about, name in zip(fields(topics), astuple(topics), strict=True)
    ]
    if as_json:
        say(json.dumps({"topics": rows}))
        return
    for row in rows:
        state = "created" if row["created"] else "there"
        say(f"{row['topic']:<34} {row['partitions']:>4} partitions  {row['policy']:<8} {state}")


def _fail(code: int, message: str, as_json: bool, **details: str) -> None:
    for line in [json.dumps({"error": message, **details})] if as_json else message.split("\n"):
        say(line, err=not as_json)
    raise SystemExit(code)
