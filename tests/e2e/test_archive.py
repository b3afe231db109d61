"""The archive as a process under load: killed ten times, frozen and replaced, its database away for half a
minute. Rows are the truth, none is there twice, and none is missing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from sqlalchemy import text

from stream.archive.database import connect
from stream.broker.ports import free_port
from stream.kafka import topics
from stream.service.settings import Settings
from tests.bench.archived_calls import CallGenerator
from tests.e2e.full_worker import get_text
from tests.e2e.harness import WorkerProcess, wait_until
from tests.real_broker import RealBroker
from tests.real_postgresql import RealPostgresql

pytestmark = pytest.mark.e2e

PARTITIONS = 4
KILLS = 10
AWAY_S = 30.0
PER_S = 500
LIMIT_S = 180.0


class Load:
    """Calls that are written to the topics, so many records a second, until it is stopped."""

    def __init__(self, broker: RealBroker, prefix: str) -> None:
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 2})
        self._names = topics.names(prefix)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.generator = CallGenerator()

    def _run(self) -> None:
        for batch in self.generator.batches(1 << 40, PER_S // 10):
            for one in batch.records:
                self._producer.produce(getattr(self._names, one.role), one.value, key=one.key)
            self._producer.poll(0)
            if self._stop.wait(0.1):
                break
        assert self._producer.flush(60) == 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def archiving(broker: RealBroker, prefix: str, url: str, log: Path) -> WorkerProcess:
    return WorkerProcess(
        ("-m", "stream.cli", "archive"),
        {
            "CALLSTREAM_KAFKA": broker.bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": str(PARTITIONS),
            "CALLSTREAM_DATA_DIR": str(log.parent / "data"),
            "CALLSTREAM_ARCHIVE_LISTEN": f"127.0.0.1:{free_port()}",
            "CALLSTREAM_ARCHIVE_URL": url,
            "CALLSTREAM_ARCHIVE_RETENTION_DAYS": "3650",
            "CALLSTREAM_SESSION_TIMEOUT_S": "6",
        },
        log,
    )


@contextmanager
def ended_after(*processes: WorkerProcess) -> Iterator[None]:
    try:
        yield
    finally:
        for one in processes:
            one.ensure_ended()


@pytest.fixture
def url(where: Path | str) -> str:
    return where if isinstance(where, str) else f"sqlite:///{where / 'archive.sqlite'}"


def rows(url: str) -> tuple[int, int, int]:
    """Events, those with an id of their own, and calls with a record."""
    engine = connect(url, reads_only=True)
    try:
        with engine.connect() as connection:
            counted = "SELECT count(*), count(DISTINCT id) FROM events"
            all_, own = connection.execute(text(counted)).one()
            return all_, own, connection.execute(text("SELECT count(*) FROM records")).scalar_one()
    finally:
        engine.dispose()


def wait_for_the_truth(url: str, load: Load) -> None:
    events, calls = load.generator.events, len(load.generator.keys)
    wait_until(lambda: rows(url)[0] >= events, "the archive has all events", LIMIT_S)
    wait_until(lambda: rows(url)[2] >= calls, "the archive has all records", LIMIT_S)
    assert rows(url) == (events, events, calls)


@pytest.fixture
def made(broker: RealBroker, prefix: str) -> None:
    chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=PARTITIONS)
    asyncio.run(topics.ensure(broker.bootstrap, chosen))


@pytest.mark.usefixtures("made")
def test_killed_ten_times_it_keeps_everything_once(
    broker: RealBroker, prefix: str, url: str, tmp_path: Path
) -> None:
    process = archiving(broker, prefix, url, tmp_path / "archive.log").start()
    with ended_after(process):
        with Load(broker, prefix) as load:
            for number in range(KILLS):
                before = load.generator.events
                # In the middle of a transaction or between two: the time differs from one to the next.
                wait_until(lambda at=before: written(url) > at, "it goes on", LIMIT_S)  # type: ignore[misc]
                time.sleep(0.13 * number)
                process.kill()
                process.running.wait()
                process.start()
        wait_for_the_truth(url, load)
        assert process.terminate()[0] == 0, process.output()


def written(url: str) -> int:
    try:
        return rows(url)[0]
    except Exception:  # noqa: BLE001  there are no tables yet
        return 0


@pytest.mark.usefixtures("made")
def test_a_frozen_writer_that_wakes_up_writes_nothing_twice(
    broker: RealBroker, prefix: str, postgresql: RealPostgresql, tmp_path: Path
) -> None:
    url = postgresql.database()
    frozen = archiving(broker, prefix, url, tmp_path / "frozen.log").start()
    other = archiving(broker, prefix, url, tmp_path / "other.log")
    with ended_after(frozen, other):
        with Load(broker, prefix) as load:
            wait_until(lambda: written(url) > 500, "it writes", LIMIT_S)
            frozen.freeze()
            at = load.generator.events
            other.start()
            wait_until(lambda: written(url) > at, "the other one has taken over", LIMIT_S)
            frozen.wake()
            time.sleep(3)
        wait_for_the_truth(url, load)


@pytest.mark.usefixtures("made")
def test_a_database_that_is_away_for_half_a_minute_loses_nothing(
    broker: RealBroker, prefix: str, postgresql: RealPostgresql, tmp_path: Path
) -> None:
    url = postgresql.database()
    process = archiving(broker, prefix, url, tmp_path / "archive.log").start()
    probe = f"http://{process.environ['CALLSTREAM_ARCHIVE_LISTEN']}"
    with ended_after(process):
        with Load(broker, prefix) as load:
            wait_until(lambda: written(url) > 500, "it writes", LIMIT_S)
            postgresql.crash()
            try:
                time.sleep(AWAY_S)
                assert get_text(f"{probe}/readyz")[0] == 503
                assert get_text(f"{probe}/livez")[0] == 200
            finally:
                postgresql.start()
        wait_for_the_truth(url, load)
        assert process.terminate()[0] == 0, process.output()
