"""`callstream schemas`: the published documents about topics and records."""

from __future__ import annotations

import json
from typing import Any

import click

from stream.cli.support.startup import exit_on_error
from stream.cli.support.terminal import Misuse, say
from stream.contracts.asyncapi import asyncapi
from stream.contracts.documents import DOCUMENTS, document
from stream.contracts.json_schema import example_of
from stream.contracts.published import ASYNCAPI
from stream.service.settings import load


@click.command("schemas")
@click.argument("name", required=False)
@click.option("--example", is_flag=True, help="An example of the record instead of its schema.")
def command(name: str | None, example: bool) -> None:
    """List the documents, or print one: JSON Schemas (2020-12) of records and headers, and `asyncapi`, the
    AsyncAPI document of the topics of these settings.
    """
    if name is None:
        if example:
            raise Misuse("--example needs a name")
        for listed, about in DOCUMENTS.items():
            say(f"{listed:<22} {about.title}")
        say(f"{ASYNCAPI:<22} Topics, keys, headers and schemas (AsyncAPI 3)")
        return
    if name == ASYNCAPI and not example:
        with exit_on_error():
            settings = load()
        _print(asyncapi(settings.topic_prefix, settings.partitions))
        return
    if name not in DOCUMENTS:
        raise Misuse(f"{name}: there is none of this name; `callstream schemas` lists them")
    found = document(name)
    _print(example_of(found) if example else found)


def _print(found: Any) -> None:
    for line in json.dumps(found, indent=2).splitlines():
        say(line)
