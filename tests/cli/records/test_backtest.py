"""`callstream backtest`: what it refuses, and what it says of deliveries on a real broker."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import astuple
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.kafka.client.producers import idempotent
from stream.kafka.partitions import partition_of
from stream.kafka.topic_reader import ends_of
from stream.service.settings import Settings
from tests.core.deliveries import START_US, callback
from tests.real_broker import RealBroker

LONGER = '[[rules]]\nid = "call.short"\nat_most_s = 30\nseverity = "critical"\n'


def run(*arguments: str, **environment: str) -> Result:
    bare = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
    return CliRunner().invoke(main, ["backtest", *arguments], env=bare | environment)


@pytest.fixture
def candidate(tmp_path: Path) -> str:
    path = tmp_path / "candidate.toml"
    path.write_text(LONGER)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing option '--rules'"),
        (("--since", "yesterday"), "a time is 2026-03-02T10:00:00Z"),
        (("--since", "1h", "--until", "2h"), "--since must be before --until"),
        (("--partition", "-1"), "-1 is not in the range"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], said: str, candidate: str) -> None:
    rules = ("--rules", candidate) if arguments else ()
    result = run(*rules, *arguments, CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_rules_that_cannot_be_used_are_refused_with_their_file(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[rules]]\nid = "call.shot"\n')
    for path, said in ((wrong, "'call.shot' is not a rule"), (tmp_path / "none.toml", "cannot be read")):
        result = run("--rules", str(path), CALLSTREAM_KAFKA="127.0.0.1:1")
        assert (result.exit_code, result.stdout) == (2, "")
        assert str(path) in result.stderr
        assert said in result.stderr


def test_without_a_broker_it_is_one_sentence(candidate: str, tmp_path: Path) -> None:
    result = run("--rules", candidate, "--json", CALLSTREAM_DATA_DIR=str(tmp_path))
    assert result.exit_code == 4
    assert orjson.loads(result.stdout)["error"].startswith("no broker runs here")


class RecordedCluster:
    """Two partitions with calls of 1 s, 20 s and 200 s of talk, and what is not a delivery."""

    def __init__(self, broker: RealBroker, prefix: str) -> None:
        self.chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=2)
        self.topics = topics.names(prefix)
        self.environment = {"CALLSTREAM_KAFKA": broker.bootstrap, "CALLSTREAM_TOPIC_PREFIX": prefix}

    async def create(self) -> None:
        await topics.ensure(self.chosen.kafka, self.chosen)

    async def fill(self) -> None:
        producer = await idempotent(connection(self.chosen, "test"))
        for number, talk_s in enumerate((1, 20, 200)):
            call_id = f"CA{number:032x}"
            key = f"twilio:{call_id}".encode()
            for sequence, status in enumerate(("initiated", "ringing", "in-progress", "completed")):
                told = {"CallDuration": str(talk_s)} if status == "completed" else {}
                received_s = time.time() - START_US / 1e6
                one = callback(status, str(sequence), None, received_s=received_s, call_id=call_id, **told)
                partition = partition_of(key, 2)
                await producer.send_and_wait(self.topics.callbacks, one.value, key=key, partition=partition)
        await producer.send_and_wait(self.topics.polled, b"{", partition=0)
        await producer.stop()

    async def ends(self) -> dict[object, int]:
        return dict(await ends_of(connection(self.chosen, "test"), astuple(self.topics)))


@pytest.mark.broker
def test_recorded_calls_go_through_both_rules_and_nothing_is_written(
    broker: RealBroker, prefix: str, candidate: str
) -> None:
    cluster = RecordedCluster(broker, prefix)
    asyncio.run(cluster.create())
    nothing = run("--rules", candidate, **cluster.environment)
    assert nothing.exit_code == 1
    assert nothing.stderr.startswith("Error: no deliveries are recorded between")

    asyncio.run(cluster.fill())
    before = asyncio.run(cluster.ends())
    result = run("--rules", candidate, "--since", "1h", "--json", **cluster.environment)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    report = orjson.loads(line)
    assert (report["records"], report["unreadable"], report["partitions"]) == (13, 1, 2)
    assert report["complete"] is True
    counted = {name: report[name] for name in ("added", "removed", "changed", "same")}
    assert counted == {"added": 1, "removed": 0, "changed": 1, "same": 0}
    assert (report["current"]["pages"], report["candidate"]["pages"]) == (0, 2)
    assert [one["candidate"]["reason"] for one in report["examples"]] == [
        "The call was answered and ended after 20 s of talk.",
        "The call was answered and ended after 1 s of talk.",
    ]
    (note,) = report["notes"]
    assert note.startswith("the first delivery is of")

    said = run("--rules", candidate, "--since", "1h", **cluster.environment)
    assert said.exit_code == 0
    assert "13 deliveries of 2 partitions" in said.stdout
    mine = run("--rules", candidate, "--since", "1h", CALLSTREAM_RULES=candidate, **cluster.environment)
    assert "\ncall.short                           2          2       2" in mine.stdout
    part = run("--rules", candidate, "--since", "1h", "--partition", "0", "--json", **cluster.environment)
    in_part = orjson.loads(part.stdout)
    assert (in_part["partitions"], in_part["of_partitions"]) == (1, 2)
    assert 0 < in_part["records"] < 13
    assert any("not all partitions" in one for one in in_part["notes"])
    assert asyncio.run(cluster.ends()) == before


@pytest.mark.broker
def test_a_limit_of_memory_ends_it_and_is_said(
    broker: RealBroker, prefix: str, candidate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = RecordedCluster(broker, prefix)
    asyncio.run(cluster.create())
    asyncio.run(cluster.fill())
    monkeypatch.setattr("stream.backtest.run.STEP_RECORDS", 4)
    monkeypatch.setattr("stream.backtest.recording.SLICE_RECORDS", 4)
    monkeypatch.setattr("stream.cli.records.backtest.MIB", 10)
    limits = ("--since", "1h", "--memory-mb", "16", "--json")
    result = run("--rules", candidate, *limits, **cluster.environment)
    report = orjson.loads(result.stdout)
    assert (result.exit_code, report["complete"]) == (1, False)
    assert 4 <= report["records"] < 13
    assert "it stopped at the limit of memory: take fewer partitions, or allow more" in report["notes"]
