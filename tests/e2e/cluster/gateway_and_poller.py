"""A gateway and a poller under load on three nodes, while a fault is injected.

The sender records which posts were answered with 204, and never repeats a post.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from stream.broker.ports import free_port
from stream.core.fetches import FetchRequest
from stream.kafka import topics
from stream.service.settings import Settings
from stream.simulator.rest.server import serving
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.scenario import Table
from tests.e2e.full_worker import get_text, supervised
from tests.e2e.harness import WorkerProcess, read_topic, stopped_after, wait_until
from tests.e2e.poller import PARTITIONS, Poller, fetch_request, polled_envelopes, run_in_thread, send_requests
from tests.simulator.rest.resource_fakes import ACCOUNT, KEYS, TOKEN, FakeResources, logged, sid

POSTERS = 4
POSTS_A_SECOND = 20.0
ASKED_A_SECOND = 4.0
ROWS = 2


class PostResult(NamedTuple):
    """The result of one POST; `status` 0: no answer. Monotonic seconds."""

    key: str
    status: int
    began: float
    ended: float


@dataclass
class WebhookLoad:
    """Posts unsigned callbacks, one for each call, from its own threads."""

    port: int
    answers: list[PostResult] = field(default_factory=list)

    def __enter__(self) -> WebhookLoad:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(POSTERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> set[str]:
        return {answer.key for answer in self.answers if answer.status == 204}

    def stood_s(self) -> float:
        """The longest time without a 204."""
        taken = sorted(answer.ended for answer in self.answers if answer.status == 204)
        return max((later - at for at, later in pairwise(taken)), default=0.0)

    def _run(self) -> None:
        while not self._over.wait(POSTERS / POSTS_A_SECOND):
            name, began = f"CA{uuid.uuid4().hex}", time.monotonic()
            self.answers.append(PostResult(f"twilio:{name}", self._post(name), began, time.monotonic()))

    def _post(self, name: str) -> int:
        form = {"CallSid": name, "AccountSid": ACCOUNT, "CallStatus": "completed", "SequenceNumber": "3"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                "POST",
                "/callbacks/twilio",
                urlencode({**form, "Direction": "inbound", "Timestamp": "Mon, 02 Mar 2026 10:00:00 +0000"}),
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


@dataclass
class BootstrapAddress:
    """Stands for the broker that `Poller` expects."""

    bootstrap: str


class GatewayAndPoller:
    """The gateway and the poller, started by `open`."""

    def __init__(self, cluster: Cluster, prefix: str, directory: Path) -> None:
        self.cluster = cluster
        self.prefix = prefix
        self.names = topics.names(prefix)
        asyncio.run(topics.ensure(cluster.bootstrap, Settings(topic_prefix=prefix, partitions=PARTITIONS)))
        self.port, self.health = free_port(), free_port()
        self.gateway = WorkerProcess(
            ("-m", "stream.cli", "gateway"),
            {
                "CALLSTREAM_KAFKA": cluster.workers_bootstrap,
                "CALLSTREAM_TOPIC_PREFIX": prefix,
                "CALLSTREAM_PARTITIONS": str(PARTITIONS),
                "CALLSTREAM_DATA_DIR": str(directory / "data"),
                "CALLSTREAM_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
                "CALLSTREAM_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{self.health}",
                "CALLSTREAM_UNSIGNED_CALLBACKS": "accept",
            },
            directory / "gateway.log",
        )
        self.posting = WebhookLoad(self.port)
        self.asked: list[FetchRequest] = []
        self.gateway_codes: list[int] = []
        self.poller_codes: list[int] = []
        self._directory = directory

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Both run under load, and are restarted when they end."""
        shelf = FakeResources(logs={sid(number): [logged(1), logged(2)] for number in range(2000)})
        with run_in_thread(serving(shelf, KEYS, "127.0.0.1:0")) as url:
            account = {"provider": "twilio", "id": ACCOUNT, "alias": "only", "secret": TOKEN, "api_url": url}
            address = BootstrapAddress(self.cluster.workers_bootstrap)
            self.poller = Poller(address, self.prefix, self._directory, [account])  # type: ignore[arg-type]
            with stopped_after(self.gateway, self.poller.process):
                self.gateway.start()
                self.poller.process.start()
                self.wait_ready()
                with supervised(self.gateway) as gateways, supervised(self.poller.process) as pollers:
                    with self.posting, self._asking():
                        yield
                    self.wait_ready()
                    wait_until(self._all_answered, "every request is answered", 120)
                self.gateway_codes = [*gateways, self.gateway.terminate()[0]]
                self.poller_codes = [*pollers, self.poller.process.terminate()[0]]

    def wait_ready(self) -> None:
        wait_until(lambda: self.gateway_ready() == 200, "the gateway is ready", 60)
        wait_until(self.poller.ready, "the poller is ready", 90)

    def gateway_ready(self) -> int:
        return get_text(f"http://127.0.0.1:{self.health}/readyz")[0]

    def poller_ready(self) -> int:
        return self.poller.get_text("/readyz")[0]

    def gateway_lost_and_doubled(self) -> tuple[int, int]:
        """Acknowledged callbacks that are missing in Kafka, and those that are there more than once."""
        there = Counter(
            (record.key or b"").decode()
            for record in read_topic(self.cluster.bootstrap, self.names.callbacks)
        )
        acknowledged = self.posting.acknowledged()
        return len(acknowledged - there.keys()), sum(there[key] > 1 for key in acknowledged)

    def poller_lost_and_doubled(self) -> tuple[int, int]:
        """Requests without their rows and their result, and those that were answered more than once."""
        found = polled_envelopes(self.cluster, self.prefix)  # type: ignore[arg-type]
        lost = doubled = 0
        for one in self.asked:
            sources = Counter(envelope["source"] for envelope in found.get(one.key, ()))
            lost += sources["twilio_call_event"] < ROWS or sources["fetch_result"] < 1
            doubled += sources["twilio_call_event"] > ROWS or sources["fetch_result"] > 1
        return lost, doubled

    def add_to_table(self, table: Table, fault: str) -> int:
        """Adds the two lines of a fault to the table. Returns the number of lost records."""
        answers, (lost, doubled) = self.posting.answers, self.gateway_lost_and_doubled()
        table.add(
            scenario=f"{fault}: gateway",
            records=len(self.posting.acknowledged()),
            lost=lost,
            doubled=doubled,
            stood_s=self.posting.stood_s(),
            refused=sum(answer.status == 503 for answer in answers),
            unanswered=sum(answer.status == 0 for answer in answers),
            exits=self.gateway_codes,
        )
        rows_lost, rows_doubled = self.poller_lost_and_doubled()
        table.add(
            scenario=f"{fault}: poller",
            records=len(self.asked),
            lost=rows_lost,
            doubled=rows_doubled,
            exits=self.poller_codes,
        )
        return lost + rows_lost

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        over = threading.Event()

        def run() -> None:
            while not over.wait(10 / ASKED_A_SECOND):
                number = len(self.asked)
                fresh = [fetch_request(f"twilio:{sid(n)}", ACCOUNT) for n in range(number, number + 10)]
                send_requests(self.cluster, self.prefix, fresh)  # type: ignore[arg-type]
                self.asked += fresh

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _all_answered(self) -> bool:
        found = polled_envelopes(self.cluster, self.prefix)  # type: ignore[arg-type]
        return all(
            any(envelope["source"] == "fetch_result" for envelope in found.get(one.key, ()))
            for one in self.asked
        )
