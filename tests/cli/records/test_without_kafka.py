"""The commands about records where no broker listens: which address, why, and what to check."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from stream.cli.main import main
from tests.tree import ROOT

RULES = str(ROOT / "stream/core/alerting/rules.toml")
AWAY = "nobody listens at 127.0.0.1:1 (ConnectionRefusedError: Connection refused (errno 111))"


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = logging.getLogger("aiokafka").level
    yield
    logging.getLogger("aiokafka").setLevel(before)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tail", "events"),
        ("dead-letters", "list"),
        ("dead-letters", "list", "--json"),
        ("forget", "twilio:CA1"),
        ("backtest", "--since", "1h", "--rules", RULES),
    ],
    ids=" ".join,
)
def test_the_address_that_keeps_it_out_is_said(arguments: tuple[str, ...], tmp_path: Path) -> None:
    where = {"CALLSTREAM_KAFKA": "127.0.0.1:1", "CALLSTREAM_DATA_DIR": str(tmp_path)}
    done = CliRunner().invoke(main, list(arguments), env=where)
    assert done.exit_code == 4
    said = orjson.loads(done.stdout)["error"] if "--json" in arguments else done.stderr
    assert AWAY in said
    assert "check CALLSTREAM_KAFKA and the firewall" in said
