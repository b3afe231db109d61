"""The examples in docs/consuming.md, run as they stand there: each prints what was committed, once."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from stream.broker.jars import class_path
from stream.contracts.documents import document
from stream.service.settings import load
from tests.agents.batches import TOPICS, Lane, Written, records, to
from tests.core.deliveries import answered_call, callback
from tests.real_broker import RealBroker
from tests.tree import ROOT

PAGE = (ROOT / "docs" / "consuming.md").read_text()
WAIT_S = 30.0


@pytest.fixture(scope="module")
def written() -> list[Written]:
    """What a worker writes of a call that was answered and of one that failed."""
    failed = [
        one._replace(key=one.key.replace("0f", "1f"), value=one.value.replace(b"0f", b"1f"))
        for one in (callback("initiated", "0", 0), callback("failed", "1", 3, SipResponseCode="503"))
    ]
    return [one for call in (answered_call(), failed) for one in Lane().run(records(call))]


@pytest.mark.parametrize("of", ["event_headers", "call_record_headers", "alert_headers"])
def test_the_page_names_every_header(of: str) -> None:
    assert [name for name in document(of)["properties"] if f"`{name}`" not in PAGE] == []


@pytest.fixture
def prefixed(broker: RealBroker, prefix: str, written: list[Written]) -> str:
    """The prefix of topics that hold what was written: first in an aborted transaction, then in another."""
    topics = {one.topic for one in written}
    named = {topic: topic.replace("calls.", prefix, 1) for topic in topics}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in named.values()]).values():
        made.result(20)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": prefix})
    producer.init_transactions(20)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for topic, (key, value, headers, _) in written:
            producer.produce(named[topic], value, key, headers=[*headers])
        producer.flush(20)  # an abort drops what was not sent
        end(20)
    return prefix


def example(heading: str, broker: RealBroker, prefix: str) -> str:
    """The example under a heading, for topics of this prefix."""
    found = re.search(rf"^## {re.escape(heading)}\n.*?^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1].replace("localhost:9092", broker.bootstrap).replace("calls.", prefix)


def lines_of(command: Sequence[str], last: str, folder: Path) -> list[str]:
    """What a program prints, until a second after it has printed `last`. Then it is ended."""
    environ = {**os.environ, "PYTHONPATH": "", "FAUST_DATADIR": str(folder)}
    printed = b""
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        until_s, is_open = time.monotonic() + WAIT_S, True
        while is_open and select.select([running.stdout], [], [], max(0.0, until_s - time.monotonic()))[0]:
            chunk = os.read(running.stdout.fileno(), 65536)
            printed, is_open = printed + chunk, bool(chunk)
            if last.encode() in printed:
                until_s = min(until_s, time.monotonic() + 1)
        running.kill()  # nothing is to be saved
        _, errors = running.communicate(timeout=WAIT_S)
    assert printed, errors.decode()
    return printed.decode().splitlines()


def ended(written: list[Written]) -> list[str]:
    return [
        f"{one['key']} {one['revision']} {one['outcome']} {one['duration_s']}"
        for one in (one.json for one in to(TOPICS.ended, written))
    ]


@pytest.mark.skipif(shutil.which("kcat") is None, reason="without kcat (Debian: apt-get install kcat)")
def test_kcat(broker: RealBroker, prefixed: str, written: list[Written], tmp_path: Path) -> None:
    wanted = to(TOPICS.ended, written)
    found = lines_of(["sh", "-c", example("kcat", broker, prefixed)], wanted[-1].json["id"], tmp_path)
    assert [orjson.loads(line.split(" ", 2)[2]) for line in found] == [one.json for one in wanted]
    assert "callstream-outcome=answered" in found[0]


def test_confluent_kafka(broker: RealBroker, prefixed: str, written: list[Written], tmp_path: Path) -> None:
    wanted = ended(written)
    program = example("Python, confluent-kafka", broker, prefixed)
    assert lines_of([sys.executable, "-c", program], wanted[-1], tmp_path) == wanted


def test_aiokafka(broker: RealBroker, prefixed: str, written: list[Written], tmp_path: Path) -> None:
    wanted = [
        f"{one['key']} {one['sequence_number']} {one['name']} {one['status']}"
        for one in (one.json for one in to(TOPICS.events, written))
    ]
    program = example("Python, aiokafka", broker, prefixed)
    assert lines_of([sys.executable, "-c", program], wanted[-1], tmp_path) == wanted


@pytest.mark.e2e
def test_faust(broker: RealBroker, prefixed: str, written: list[Written], tmp_path: Path) -> None:
    wanted = ended(written)
    program = example("Python, Faust", broker, prefixed).replace("partitions=12", "partitions=1")
    (tmp_path / "reports.py").write_text(program.replace('"reports"', f'"{prefixed}reports"'))
    command = [sys.executable, "reports.py", "worker", "--without-web", "-l", "warn"]
    found = lines_of(["sh", "-c", f"exec {' '.join(command)} 2>&1"], wanted[-1], tmp_path)
    assert [line for line in wanted if sum(line in one for one in found) != 1] == [], "\n".join(found)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("javac") is None, reason="without javac (Debian: default-jdk-headless)")
def test_java(broker: RealBroker, prefixed: str, written: list[Written], tmp_path: Path) -> None:
    wanted = [f"{one.json['scope']['id']} {one.json['severity']}" for one in to(TOPICS.alerts, written)]
    (tmp_path / "Alerts.java").write_text(example("Java", broker, prefixed))
    chosen = load(os.environ)
    jars = class_path(chosen.kafka_libs, chosen.cache_dir, say=print)
    subprocess.run(["javac", "-cp", jars, "Alerts.java"], cwd=tmp_path, check=True)
    found = lines_of(["java", "-cp", f"{jars}{os.pathsep}.", "Alerts"], wanted[-1], tmp_path)
    assert [" ".join(line.split(" ", 2)[:2]) for line in found] == wanted
