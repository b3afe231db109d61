"""`callstream topics`: creates the topics, or names the first that does not match."""

from __future__ import annotations

import asyncio
import json
from dataclasses import astuple, fields, replace

import click

from stream.cli.checkup.cluster import topic_risks
from stream.cli.support.finite_range import FiniteRange
from stream.cli.support.startup import exit_on_error, quiet_clients, required_bootstrap
from stream.cli.support.terminal import Misuse, say
from stream.kafka.declarations import FORMATS, declared
from stream.kafka.topics import POLICIES, Examined, ensure, examine, names
from stream.service.settings import Settings, load


@click.command("topics")
@click.option(
    "--wait",
    "wait_s",
    type=FiniteRange(1),
    default=10.0,
    show_default=True,
    help="Seconds to wait for a Kafka that does not answer yet.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option(
    "--print",
    "form",
    type=click.Choice(list(FORMATS)),
    help="Create nothing: print the topics for the tool that creates them.",
)
def command(wait_s: float, as_json: bool, form: str | None) -> None:
    """Create the topics, or say what does not match.

    Exit code 3: a topic has another number of partitions or another policy than it needs.
    """
    quiet_clients()
    with exit_on_error(as_json=as_json):
        settings = load()
        if form is not None:
            _print(settings, form)
            return
        made, found = asyncio.run(_ensure(settings, wait_s))
    _show(settings, made, as_json)
    for risk, mend in topic_risks(found, settings):
        say(f"warning: {risk}: {mend}", err=True)


def _print(settings: Settings, form: str) -> None:
    if form == "terraform" and settings.replication < 0:
        raise Misuse("terraform needs CALLSTREAM_REPLICATION: with -1 every plan would find a difference")
    for topic in declared(settings):
        for line in FORMATS[form](topic):
            say(line)


async def _ensure(settings: Settings, wait_s: float) -> tuple[list[str], Examined]:
    # None is started here: topics that end with the command would look like those of a cluster.
    bootstrap = required_bootstrap(settings)
    made = await ensure(bootstrap, settings, wait_s=wait_s)
    found = await examine(bootstrap, settings, wait_s=wait_s)
    return made, replace(found, grown={})  # the log has said it


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
        say(f"{row['topic']:<34} {row['partitions']:>4} partitions  {row['policy']:<14} {state}")
