"""The command's exit codes and what it prints, for scripts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from stream.cli.simulate import command
from stream.runtime.settings import load
from stream.runtime.topics import ensure
from tests.conftest import RealBroker


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, list(arguments), env=environment)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--forever", "--check"],
        ["--calls", "5", "--for", "3"],
        ["--drop", "2"],
        ["--for", "5", "--rate", "0"],
        ["--sources", "carrier_pigeon"],
        ["--start", "2026-03-02T10:00:00"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_refused_with_a_reason_and_code_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert not result.stdout


@pytest.mark.broker
def test_outputs_that_never_come_are_differences_with_code_1(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    environment = {
        "CALLSTREAM_KAFKA": broker.bootstrap,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_DATA_DIR": str(tmp_path),
    }
    asyncio.run(ensure(broker.bootstrap, load(environment)))
    wanted = ["--calls", "20", "--seed", "4", "--start", "2026-03-02T10:00:00Z"]
    written = run(*wanted, "--json", **environment)
    assert written.exit_code == 0, written.stderr
    said = orjson.loads(written.stdout)
    assert said["calls"] == 20
    assert said["start"] == "2026-03-02T10:00:00.000000Z"
    assert said["check"] is None

    checked = run(*wanted, "--check", "--timeout", "0.5", **environment)
    assert checked.exit_code == 1, checked.stderr
    assert "events missing:" in checked.stdout
    assert f"--seed 4 --start {said['start']}" in checked.stdout
