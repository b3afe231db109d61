"""`callstream dead-letters` on a real broker: what is listed, shown and written back, and each once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.cli.records.dead_letters import NOT_FOUND
from stream.kafka import topics
from stream.kafka.client.connection import Connection, connection
from stream.kafka.client.producers import idempotent
from stream.kafka.dead_letters.letter import NO_KEY, StoredLetter, read_letter
from stream.kafka.dead_letters.redrive import opened_redrive
from stream.kafka.envelope_codec import dead_letter_headers
from stream.kafka.topic_reader import records
from stream.kafka.transactional_producer import Fenced
from stream.service.settings import Settings
from tests.core.deliveries import TWILIO_KEY, callback
from tests.real_broker import RealBroker

KEY = TWILIO_KEY.encode()
COMPLETED = callback("completed", "3", 9, From="+14155550142").value
RINGING = callback("ringing", "1", 2).value


def run(*arguments: str, **environment: str) -> Result:
    bare = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
    return CliRunner().invoke(main, ["dead-letters", *arguments], env=bare | environment)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("redrive",), "name what to redrive: an ID, --reason, --source, --since, --until, or --all alone"),
        (("redrive", "--all", "--reason", "not_json"), "name what to redrive"),
        (("list", "--since", "yesterday"), "a time is 2026-03-02T10:00:00Z"),
        (("list", "--reason", "bad"), "'bad' is not one of 'not_json'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments, CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_without_a_broker_it_is_one_sentence(tmp_path: Path) -> None:
    result = run("list", CALLSTREAM_DATA_DIR=str(tmp_path))
    assert (result.exit_code, result.stderr[:42]) == (4, "Error: no broker runs here: set CALLSTREAM")


class Cluster:
    """Topics of their own, with three dead letters in partition 1."""

    def __init__(self, broker: RealBroker, prefix: str) -> None:
        self.chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=2)
        self.topics = topics.names(prefix)
        self.prefix = prefix
        self.environment = {"CALLSTREAM_KAFKA": broker.bootstrap, "CALLSTREAM_TOPIC_PREFIX": prefix}

    @property
    def connection(self) -> Connection:
        return connection(self.chosen, "test")

    async def fill(self) -> None:
        await topics.ensure(self.chosen.kafka, self.chosen)
        producer = await idempotent(self.connection)
        for reason, key, value in (
            ("internal_error", KEY, COMPLETED),
            ("key_mismatch", None, RINGING),
            ("internal_error", KEY, RINGING),
        ):
            why = dead_letter_headers(reason, "fold", "KeyError", self.topics.callbacks, 1, 41, [("x", b"1")])
            await producer.send_and_wait(self.topics.dead_letters, value, key=key, partition=1, headers=why)
        await producer.stop()

    async def read(self, topic: str) -> list[Any]:
        return [one async for one in records(self.connection, topic, from_beginning=True, follow=False)]

    def letter(self, offset: int) -> str:
        return f"{self.topics.dead_letters}:1:{offset}"

    def run(self, *arguments: str) -> tuple[int, Any]:
        result = run(*arguments, "--json", **self.environment)
        lines = [orjson.loads(line) for line in result.stdout.splitlines()]
        return result.exit_code, lines if arguments[0] == "list" else lines[0]


@pytest.fixture
def cluster(broker: RealBroker, prefix: str) -> Cluster:
    made = Cluster(broker, prefix)
    asyncio.run(made.fill())
    return made


@pytest.mark.broker
def test_letters_are_listed_shown_and_written_back_once(cluster: Cluster) -> None:
    code, listed = cluster.run("list", "--reason", "internal_error", "--source", "twilio_status_callback")
    assert (code, [(one["id"], one["redriven"]) for one in listed]) == (
        0,
        [(cluster.letter(0), False), (cluster.letter(2), False)],
    )
    assert cluster.run("list", "--until", "1h") == (0, [])
    code, shown = cluster.run("show", cluster.letter(0))
    assert (code, shown["key"], shown["error"], shown["headers"]) == (0, TWILIO_KEY, "KeyError", {"x": "1"})
    assert orjson.loads(shown["value"])["body"]["From"] == "+14*******42"
    assert orjson.loads(cluster.run("show", "--raw", cluster.letter(0))[1]["value"]) == orjson.loads(
        COMPLETED
    )
    code, shown = cluster.run("show", cluster.letter(99))
    assert (code, shown["error"][:14]) == (1, "dead letter " + cluster.letter(0)[:2])
    gone = f"{cluster.topics.dead_letters}:99:0"
    says = f"dead letter {gone} does not exist, or its retention time is over"
    assert cluster.run("show", gone) == (1, {"error": says})

    left = {"not_redriven": 1, "examples": [{"id": cluster.letter(1), "why": NO_KEY}]}
    would = {"dry_run": True, "redriven": 2, "redriven_before": 0, **left}
    assert cluster.run("redrive", "--all", "--dry-run") == (1, would)
    assert asyncio.run(cluster.read(cluster.topics.callbacks)) == []
    missing = {"not_redriven": 1, "examples": [{"id": gone, "why": NOT_FOUND}]}
    nothing = {"dry_run": True, "redriven": 1, "redriven_before": 0, **missing}
    assert cluster.run("redrive", cluster.letter(2), gone, "--dry-run") == (1, nothing)
    first = {"dry_run": False, "redriven": 1, "redriven_before": 0, "not_redriven": 0, "examples": []}
    assert cluster.run("redrive", cluster.letter(2)) == (0, first)
    others = {"dry_run": False, "redriven": 1, "redriven_before": 1, **left}
    assert cluster.run("redrive", "--since", "1h") == (1, others)
    nothing = {"dry_run": False, "redriven": 0, "redriven_before": 2, **left}
    assert cluster.run("redrive", "--since", "1h") == (1, nothing)

    back = asyncio.run(cluster.read(cluster.topics.callbacks))
    assert [(one.partition, one.key, one.value, list(one.headers)) for one in back] == [
        (1, KEY, value, [("x", b"1"), ("redriven_from", cluster.letter(offset).encode())])
        for offset, value in ((2, RINGING), (0, COMPLETED))
    ]
    assert [one["redriven"] for one in cluster.run("list")[1]] == [True, False, True]
    assert cluster.run("show", cluster.letter(2))[1]["redriven"]


@pytest.mark.broker
@pytest.mark.parametrize("action", ["show", "redrive"])
def test_an_id_that_names_no_letter_is_misuse(cluster: Cluster, action: str) -> None:
    for letter_id in ("3:17", f"{cluster.topics.dead_letters}:3", f"{cluster.topics.alerts}:1:0"):
        says = f"an ID is {cluster.topics.dead_letters}:partition:offset, as `list` prints it"
        assert cluster.run(action, letter_id) == (2, {"error": says})


@pytest.mark.broker
def test_a_person_reads_lines(cluster: Cluster) -> None:
    listed = run("list", "--reason", "key_mismatch", **cluster.environment)
    assert listed.stderr == "1 dead letters: 1 key_mismatch\n"
    columns = listed.stdout.rstrip("\n").split("\t")
    assert [columns[0], *columns[2:]] == [
        *(cluster.letter(1), "key_mismatch", "fold", "twilio_status_callback", "-", "KeyError", ""),
    ]
    result = run("redrive", "--all", **cluster.environment)
    assert result.stdout == f"2 redriven, 0 were before, 1 cannot be\n{cluster.letter(1)}\t{NO_KEY}\n"
    assert "header x\t1\n" in run("show", cluster.letter(0), **cluster.environment).stdout


@pytest.mark.broker
async def test_a_redrive_that_another_one_replaced_writes_nothing(broker: RealBroker, prefix: str) -> None:
    cluster = Cluster(broker, prefix)
    await cluster.fill()
    letter = read_letter((await cluster.read(cluster.topics.dead_letters))[0])
    assert isinstance(letter, StoredLetter)
    async with opened_redrive(cluster.connection, prefix) as former:
        await former.add(letter)
        async with opened_redrive(cluster.connection, prefix):
            with pytest.raises(Fenced):
                await former.flush()
    assert await cluster.read(cluster.topics.callbacks) == []
