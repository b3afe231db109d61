"""The embedded broker against its requirements, on the real Kafka."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream.broker import Broker, BrokerError, embedded, start
from stream.broker.ports import free_port
from stream.broker.probe import cluster_id
from stream.service.settings import Settings, load

pytestmark = pytest.mark.broker

SETTINGS = load(os.environ)


def open_broker(directory: Path, port: int = 0) -> Broker:
    return start(directory, cache=SETTINGS.cache_dir, libs=SETTINGS.kafka_libs, port=port)


def write(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result(20)
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str) -> bytes | None:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        return None if message is None else message.value()
    finally:
        consumer.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture
def running(directory: Path) -> Iterator[Broker]:
    broker = open_broker(directory, free_port())
    yield broker
    broker.stop()


def test_a_second_start_finds_the_first_which_stops_within_seconds_and_leaves_no_note(
    running: Broker, directory: Path
) -> None:
    second = open_broker(directory)
    assert (second.bootstrap, second.cluster_id, second.supervisor) == (
        running.bootstrap,
        running.cluster_id,
        None,
    )
    second.stop()
    assert cluster_id(running.port) == running.cluster_id
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 8
    assert not is_alive(running.pid)
    assert not (directory / "running.json").exists()


def test_data_survives_a_kill_and_a_start_on_the_same_port(running: Broker, directory: Path) -> None:
    write(running.bootstrap, "kept", b"a call")
    os.kill(running.pid, signal.SIGKILL)
    running.stop()
    assert running.ended()
    again = open_broker(directory, running.port)
    try:
        assert again.cluster_id == running.cluster_id
        assert read(again.bootstrap, "kept") == b"a call"
    finally:
        again.stop()


@pytest.mark.e2e
def test_a_frozen_broker_is_stopped_too(running: Broker) -> None:
    os.kill(running.pid, signal.SIGSTOP)
    running.stop()
    assert not is_alive(running.pid)


@pytest.mark.e2e
def test_it_does_not_outlive_an_owner_that_was_killed(directory: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from stream.broker import start\n"
        "_, directory, cache, libs, port = sys.argv\n"
        "broker = start(Path(directory), cache=Path(cache), libs=libs, port=int(port))\n"
        "print(broker.pid, flush=True); time.sleep(600)"
    )
    arguments = [str(directory), str(SETTINGS.cache_dir), SETTINGS.kafka_libs, str(free_port())]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    limit = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not is_alive(pid)


@pytest.mark.e2e
def test_a_note_of_a_crash_that_names_another_program_is_not_an_obstacle(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (directory / "running.json").write_text(
            f'{{"pid": {os.getpid()}, "supervisor_pid": 1, "port": {port}, "cluster_id": "x"}}'
        )
        (directory / "kafka" / ".lock").touch()
        broker = open_broker(directory)
        try:
            assert broker.supervisor is not None
            assert broker.port != port
        finally:
            broker.stop()


def test_its_data_may_be_in_a_directory_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    directory = tmp_path / "Jürgen, $x" / "50%d \\#"
    broker = open_broker(directory, free_port())
    broker.stop()
    assert list(tmp_path.iterdir()) == [directory.parent]
    assert (directory / "kafka" / "meta.properties").is_file()
    assert "Kafka Server started" in (directory / "broker.log").read_text()


def test_a_wanted_port_that_is_taken_is_said(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=str(port)):
            open_broker(directory, port)


def test_a_place_where_no_data_can_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerError, match=r"place of a directory.*CALLSTREAM_DATA_DIR.*CALLSTREAM_KAFKA"):
        open_broker(tmp_path / "file" / "broker")


async def test_a_cluster_in_the_settings_is_used_as_it_is(tmp_path: Path) -> None:
    async with embedded(Settings(kafka="kafka.example:9092", data_dir=tmp_path)) as broker:
        assert (broker.bootstrap, broker.supervisor) == ("kafka.example:9092", None)
    assert not list(tmp_path.iterdir())
