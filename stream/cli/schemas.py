"""`callstream schemas`: the published documents about topics and records."""

from __future__ import annotations

import json

import click

from stream.cli.support.terminal import Misuse, say
from stream.contracts.documents import DOCUMENTS, document
from stream.contracts.json_schema import example_of


@click.command("schemas")
@click.argument("name", required=False)
@click.option("--example", is_flag=True, help="An example of the record instead of its schema.")
def command(name: str | None, example: bool) -> None:
    """List the documents, or print one: JSON Schemas (2020-12) of records and headers."""
    if name is None:
        if example:
            raise Misuse("--example needs a name")
        for listed, about in DOCUMENTS.items():
            say(f"{listed:<22} {about.title}")
        return
    if name not in DOCUMENTS:
        raise Misuse(f"{name}: there is none of this name; `callstream schemas` lists them")
    found = document(name)
    for line in json.dumps(example_of(found) if example else found, indent=2).splitlines():
        say(line)
