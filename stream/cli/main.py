"""The command line: a table of commands, each imported only when it is asked for.

The rule of this file: it knows names and one line of help, so that `callstream --help` starts in a blink.
A command lives in `stream/cli/<file>.py` and is the click command named `command` there.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version
from typing import NamedTuple

import click


class CommandEntry(NamedTuple):
    """Where a command is, and what `callstream --help` says of it."""

    module: str
    help: str


COMMANDS: dict[str, CommandEntry] = {
    "up": CommandEntry("stream.cli.up", "Everything on this machine: broker, topics, roles, simulator."),
    "tail": CommandEntry("stream.cli.tail", "What a topic carries, one line a record."),
    "gateway": CommandEntry("stream.cli.gateway", "Receive the providers' webhooks, verify and land them."),
    "worker": CommandEntry("stream.cli.worker", "The Faust app: deduplicate, fold, emit, alert."),
    "poller": CommandEntry("stream.cli.poller", "Read the providers' REST resources, within their budgets."),
    "backfill": CommandEntry(
        "stream.cli.backfill", "Read a past time from a provider, at the lowest priority."
    ),
    "topics": CommandEntry("stream.cli.topics", "Create the topics, or say what does not match."),
    "doctor": CommandEntry("stream.cli.doctor", "What is wrong here, and why a request was refused."),
    "simulate": CommandEntry(
        "stream.cli.simulate", "Calls with a known truth, as the providers tell of them."
    ),
}


class LazyGroup(click.Group):
    """A click group that imports a command when it is run, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        # First of all: what nobody catches is then told without its text, whatever it is.
        importlib.import_module("stream.service.logs").install()
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("callstream"), prog_name="callstream")
def main() -> None:
    """Phone-call events of Twilio and Telnyx as a stream, exactly once, on Kafka.

    Settings are CALLSTREAM_* variables or one TOML file (CALLSTREAM_CONFIG); docs/settings.md lists them.
    """
    # Whatever is made from now on is for its owner alone: the broker's data, the store, the roles' logs.
    os.umask(0o077)
