"""`callstream config check`: whether the settings can be used, before a role is started with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import click

from stream.cli.support.exit_codes import MISUSE
from stream.cli.support.terminal import say
from stream.cli.worker_processes import process_count
from stream.gateway import tls
from stream.kafka.client.connection import connection
from stream.service.settings import Settings, SettingsError, load, privacy_key, problems


@click.group("config")
def command() -> None:
    """What the settings say, from the environment and the TOML file."""


@command.command("check", short_help="Say everything that is wrong with them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def check(as_json: bool) -> None:
    """Say everything that is wrong with the settings, tables and secret files included. Starts nothing.

    Exit code 2 if something is.
    """
    found = problems() or list(_refused(load()))
    if as_json:
        say(json.dumps({"ok": not found, "problems": found}))
    else:
        for one in found or ["The settings can be used."]:
            say(one)
    if found:
        raise SystemExit(MISUSE)


def _refused(chosen: Settings) -> Iterator[str]:
    """What a role would say at its start of settings that can be read."""
    checks: list[Callable[[Settings], object]] = [
        process_count,
        privacy_key,
        _kafka_client,
        tls.chosen_context,
    ]
    for check in checks:
        try:
            check(chosen)
        except (SettingsError, tls.TlsError) as error:
            yield str(error)


def _kafka_client(chosen: Settings) -> None:
    connection(chosen, "config")
