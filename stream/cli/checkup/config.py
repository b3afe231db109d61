"""`callstream config check`: whether the settings can be used, before a role is started with them."""

from __future__ import annotations

import json

import click

from stream.cli.support.exit_codes import MISUSE
from stream.cli.support.terminal import say
from stream.service.settings import problems


@click.group("config")
def command() -> None:
    """What the settings say, from the environment and the TOML file."""


@command.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def check(as_json: bool) -> None:
    """Say everything that is wrong with the settings, tables and secret files included. Starts nothing.

    Exit code 2 if something is.
    """
    found = problems()
    if as_json:
        say(json.dumps({"ok": not found, "problems": found}))
    else:
        for one in found or ["The settings can be used."]:
            say(one)
    if found:
        raise SystemExit(MISUSE)
