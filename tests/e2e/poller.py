"""A poller process, the fetch requests that it gets, and the records that it writes.

The provider runs in a thread with an event loop of its own, so that a waiting test does not block it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from stream.broker.ports import free_port
from stream.core.fetches import FetchRead, FetchRequest, account_key, request_id
from stream.core.sources import POLLED_SOURCES
from stream.core.timestamps import utc
from stream.kafka import topics
from stream.kafka.partitions import partition_of
from stream.simulator.delivery.record_writer import key_hash
from tests.e2e.full_worker import get_text
from tests.e2e.harness import (
    Feed,
    ReadRecord,
    RecordToSend,
    WorkerProcess,
    read_topic,
    wait_drained,
    wait_until,
)
from tests.real_broker import RealBroker

PARTITIONS = 12
SOURCES = [source for source in POLLED_SOURCES if source != "twilio_alert"]
"""Without the one that is at a host of its own: nothing is asked of Twilio itself."""

T = TypeVar("T")
Labels = Mapping[str, str]


@contextlib.contextmanager
def run_in_thread(entered: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter an async context manager in a thread with an event loop of its own; gives its value."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        entered_value = asyncio.run_coroutine_threadsafe(entered.__aenter__(), loop).result(30)
        try:
            yield entered_value
        finally:
            asyncio.run_coroutine_threadsafe(entered.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


class Poller:
    """`callstream poller`, not started yet. `accounts`: the tables of CALLSTREAM_POLL_ACCOUNTS."""

    def __init__(
        self,
        broker: RealBroker,
        prefix: str,
        directory: Path,
        accounts: Sequence[Mapping[str, Any]],
        *,
        name: str = "poller",
        verbose: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.process = WorkerProcess(
            ("-m", "stream.cli", "poller", *(["-v"] if verbose else [])),
            {
                "CALLSTREAM_KAFKA": broker.bootstrap,
                "CALLSTREAM_TOPIC_PREFIX": prefix,
                "CALLSTREAM_PARTITIONS": str(PARTITIONS),
                "CALLSTREAM_DATA_DIR": str(directory / "data"),
                "CALLSTREAM_POLLER_LISTEN": f"127.0.0.1:{self.port}",
                "CALLSTREAM_POLL_ACCOUNTS": json.dumps(accounts),
                "CALLSTREAM_POLL_SOURCES": ",".join(SOURCES),
                **(environ or {}),
            },
            directory / f"{name}.log",
        )

    def get_text(self, path: str) -> tuple[int, str]:
        """(status, text) of one of its HTTP endpoints; (0, "") while it does not answer."""
        return get_text(f"http://127.0.0.1:{self.port}{path}")

    def ready(self) -> bool:
        return self.get_text("/readyz")[0] == 200

    def counted(self, family: str, **labels: str) -> float:
        """Sum of the samples of a family that have these labels; 0 while it does not answer."""
        return _sum(self.get_text("/metrics")[1], family, labels)

    def owned(self) -> float:
        """The number of its partitions; 0 before it is ready."""
        return self.counted("poll_owned_partitions") if self.ready() else 0

    def wait_owns(self, partitions: int) -> None:
        wait_until(
            lambda: self.owned() == partitions,
            f"the poller owns {partitions} partitions",
            60,
        )


def _sum(text: str, family: str, labels: Labels) -> float:
    samples = re.findall(rf"^callstream_{family}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(float(value) for said, value in samples if all(one in said.split(",") for one in wanted))


def fetch_request(
    key: str, account: str, *, priority: str = "terminal", source: str = "twilio_call_event"
) -> FetchRequest:
    """A request of one read that is due now. One that heals is for a gap, others for an ended call."""
    due_at = utc(time.time_ns() // 1000)
    reason = "gap" if priority == "heal" else "ended"
    return FetchRequest(
        id=request_id(key, due_at, reason, 1),
        key=key,
        account=account,
        reads=[FetchRead(source, None)],
        reason=reason,
        due_at=due_at,
        attempt=1,
        priority=priority,
    )


def send_requests(broker: RealBroker, prefix: str, requests: Iterable[FetchRequest]) -> None:
    """Send the requests as the worker does. Returns when the broker has them."""
    topic = topics.names(prefix).fetches
    records = [
        RecordToSend(
            topic,
            partition_of(account_key(one.key.partition(":")[0], one.account), PARTITIONS),
            one.key.encode(),
            msgspec.json.encode(one),
        )
        for one in requests
    ]
    with Feed(broker.bootstrap, records):
        pass


def wait_committed(broker: RealBroker, prefix: str, timeout_s: float = 120.0) -> None:
    """Wait until the pollers' group has committed all requests."""
    group = f"{prefix.removesuffix('.')}-poller"
    wait_drained(broker.bootstrap, group, [topics.names(prefix).fetches], timeout_s)


def polled_envelopes(broker: RealBroker, prefix: str) -> dict[str, list[dict[str, Any]]]:
    """The envelopes of the polled topic by key, in order."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in read_topic(broker.bootstrap, topics.names(prefix).polled):
        assert record.key is not None
        assert record.value is not None
        assert record.partition == key_hash(record.key) % PARTITIONS
        found[record.key.decode()].append(json.loads(record.value))
    return found


def all_records(broker: RealBroker, prefix: str) -> list[ReadRecord]:
    """All records of all topics with the prefix."""
    return [
        record for topic in astuple(topics.names(prefix)) for record in read_topic(broker.bootstrap, topic)
    ]
