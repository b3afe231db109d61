"""`callstream config check` says everything that is wrong, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.cli.main import main

WRONG = """
store = "paper"
colour = "red"

[[notify_sinks]]
name = "chat"
type = "slack"
url = "https://hooks.example.com/planted"

[[notify_routes]]
sink = "chat"
severities = ["high"]
"""
SAID = [
    "CALLSTREAM_STORE=paper must be one of memory, rocksdb",
    "CALLSTREAM_COLOUR is not a setting of callstream (docs/settings.md lists all of them)",
    "table 1: severities must be some of critical, warning, info",
]


def test_all_that_is_wrong_is_said_at_once_as_lines_or_json(tmp_path: Path) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text(WRONG)
    environ = {"CALLSTREAM_CONFIG": str(file)}
    lines = CliRunner().invoke(main, ["config", "check"], env=environ)
    as_json = CliRunner().invoke(main, ["config", "check", "--json"], env=environ)
    assert (lines.exit_code, as_json.exit_code) == (2, 2)
    assert len(lines.output.splitlines()) == 3
    assert all(one in lines.output for one in SAID)
    assert "planted" not in lines.output
    assert json.loads(as_json.output) == {"ok": False, "problems": lines.output.splitlines()}


def test_settings_that_can_be_used_are_told_so() -> None:
    done = CliRunner().invoke(main, ["config", "check"])
    assert (done.exit_code, done.output) == (0, "The settings can be used.\n")
    assert json.loads(CliRunner().invoke(main, ["config", "check", "--json"]).output) == {
        "ok": True,
        "problems": [],
    }


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PRIVACY": "hashed"}, "CALLSTREAM_PRIVACY=hashed needs CALLSTREAM_PRIVACY_KEY"),
        (
            {"WORKER_PROCESSES": "13"},
            "13 worker processes are more than CALLSTREAM_PARTITIONS=12: a process without a partition has "
            "nothing to do",
        ),
        (
            {"KAFKA": "kafka:9093", "KAFKA_SECURITY": "ssl", "KAFKA_CA_FILE": "/no/ca"},
            "CALLSTREAM_KAFKA_CA_FILE=/no/ca cannot be read (No such file or directory)",
        ),
        (
            {"GATEWAY_TLS": "/no/chain,/no/key"},
            "CALLSTREAM_GATEWAY_TLS: /no/chain and /no/key cannot be read (No such file or directory)",
        ),
    ],
)
def test_what_one_role_would_refuse_at_its_start_is_said_too(environ: dict[str, str], said: str) -> None:
    named = {f"CALLSTREAM_{name}": value for name, value in environ.items()}
    done = CliRunner().invoke(main, ["config", "check"], env=named)
    assert (done.exit_code, done.output) == (2, f"{said}\n")
