"""`callstream schemas`."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.contracts.asyncapi import asyncapi
from stream.contracts.documents import DOCUMENTS, document
from tests.contracts.closed import validator


def schemas(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schemas", *arguments])


def test_all_are_listed() -> None:
    assert [line.split()[0] for line in schemas().stdout.splitlines()] == [*DOCUMENTS, "asyncapi"]


def test_one_is_printed_as_json_and_its_example_is_valid() -> None:
    assert json.loads(schemas("event").stdout) == document("event")
    assert json.loads(schemas("asyncapi").stdout) == asyncapi("calls.", 12)
    assert [*validator("alert").iter_errors(json.loads(schemas("alert", "--example").stdout))] == []


def test_a_name_that_is_not_there_is_a_misuse() -> None:
    result = schemas("events")
    assert result.exit_code == 2
    assert "events" in result.stderr
    assert schemas("--example").exit_code == 2
