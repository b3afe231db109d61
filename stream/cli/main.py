"""The command line: a table of commands, each imported only when it is run, so that `--help` starts fast.

The click command of each file is named `command`; those of the roles are in one file.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version
from typing import Any

import click

from stream.cli.support.exit_codes import EXIT_CODES, INTERRUPTED

COMMANDS = {
    "up": "Everything on this machine: broker, topics, roles, simulator.",
    "call": "What happened to one call, from all sources.",
    "calls": "List calls by time, outcome, verdict, number, code, …",
    "alerts": "List what is firing, or what has fired.",
    "watch": "Open conditions and failed calls, live, with keys.",
    "tail": "Print a topic, one record a line.",
    "gateway": "Receive and verify the webhooks, write them to Kafka.",
    "worker": "The Faust app: deduplicate, fold, emit, alert.",
    "poller": "Read the providers' REST resources within their rate limits.",
    "archive": "Keep what left the worker, for questions about it.",
    "api": "Answer questions about calls over HTTP, by token.",
    "notify": "Hand alerts to Alertmanager, PagerDuty, Slack, a webhook.",
    "backfill": "Read a past time from a provider, at the lowest priority.",
    "dead-letters": "List, show and write back what could not be processed.",
    "backtest": "What other alert rules would have raised, on recorded calls.",
    "forget": "Remove a call from state and archive, for good.",
    "topics": "Create the topics, or say what does not match.",
    "schemas": "Print the schemas of what is written to the topics.",
    "config": "Validate the settings: `config check`.",
    "doctor": "What is wrong here, and why a request was refused.",
    "verdicts": "Whose fault a failed call was: the table that decides it.",
    "simulate": "Simulate calls whose outputs are known, and check them.",
    "completion": "Print the completion script of a shell.",
}
"""Each command, in `stream/cli/<command>.py`, and its line in `callstream --help`."""

FOLDER_OF = {
    "backtest": "records.",
    "config": "checkup.",
    "dead-letters": "records.",
    "forget": "records.",
    "tail": "records.",
    **dict.fromkeys(("call", "calls", "alerts", "completion"), "query."),
    "watch": "watch.",
}
"""Commands in a folder of `stream/cli/`."""

ROLES = ("gateway", "worker", "poller", "archive", "api", "notify")
"""The commands in `stream/cli/roles.py`, each under its own name."""


class LazyGroup(click.Group):
    """A click group that imports a command when it is run, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # First of all, so that an uncaught exception is logged without its text.
        importlib.import_module("stream.service.logs").install()
        if cmd_name in ROLES:
            command: click.Command = getattr(importlib.import_module("stream.cli.roles"), cmd_name)
        else:
            module = FOLDER_OF.get(cmd_name, "") + cmd_name.replace("-", "_")
            command = importlib.import_module(f"stream.cli.{module}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        with formatter.section("Exit codes of all commands"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("callstream"), prog_name="callstream")
def main() -> None:
    """Phone-call events of Twilio and Telnyx as a stream, exactly once, on Kafka.

    Settings are CALLSTREAM_* variables or one TOML file (CALLSTREAM_CONFIG); docs/settings.md lists them.
    """
    # All files are for their owner only: the broker's data, the store, the roles' logs.
    os.umask(0o077)
