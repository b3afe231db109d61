"""`callstream verdicts`: the whole table, or what speaks for one fault."""

from __future__ import annotations

import json

from click.testing import CliRunner

from stream.cli.verdicts import command
from stream.core.verdicts.table import TABLE


def test_the_table_is_printed_row_by_row() -> None:
    printed = CliRunner().invoke(command, []).output
    assert [row.values for row in TABLE if row.values not in printed] == []
    assert "1. Admission: the request was refused" in printed


def test_one_fault_has_its_rows_and_what_to_do() -> None:
    lines = CliRunner().invoke(command, ["--fault", "spam_block"]).output.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("   spam_block")] == [
        "D54",
        "32017",
        "607",
        "608",
    ]
    assert lines[-1].startswith("spam_block: Stop retrying from this number.")
    assert len(json.loads(CliRunner().invoke(command, ["--json"]).output)["rows"]) == len(TABLE)
