"""Every role on a cluster with TLS, a login of its own, and exactly the rights that are declared for it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from stream.archive.database import archive_url
from stream.archive.reader import open_archive
from stream.broker.ports import free_port
from stream.cli.checkup.check import Check
from stream.cli.checkup.cluster import cluster
from stream.core.fetches import account_key
from stream.kafka import topics
from stream.kafka.access import ROLES, TOPIC, Access, needed, poller_group
from stream.kafka.partitions import partition_of
from stream.service.settings import Settings, load
from tests.archive.test_service import ids_in, truth, written
from tests.archive.test_service import produce as produce_told
from tests.e2e.full_worker import get_text
from tests.e2e.harness import Feed, RecordToSend, WorkerProcess, read_topic, stopped_after, wait_until
from tests.e2e.poller import Poller, fetch_request, wait_committed
from tests.e2e.test_gateway import PARTITIONS, Roles, report_of
from tests.e2e.test_notify import conditions
from tests.notify.test_service import produce
from tests.real_broker import RealBroker
from tests.secured_broker import PASSWORD, SecuredBroker

pytestmark = pytest.mark.e2e

READ = (
    *("twilio_call", "twilio_call_event", "twilio_insights_event", "twilio_notification"),
    "telnyx_call_event",
)


@pytest.fixture
def secured(tmp_path_factory: pytest.TempPathFactory, prefix: str) -> Iterator[SecuredBroker]:
    """With the topics, and a user for each role and for the simulator."""
    broker = SecuredBroker(tmp_path_factory.mktemp("secured"), load(os.environ))
    try:
        everything = Settings(kafka=broker.plain, topic_prefix=prefix, partitions=int(PARTITIONS))
        asyncio.run(topics.ensure(broker.plain, everything))
        for role in ROLES:
            broker.add_user(role)
            broker.grant(role, needed(role, prefix))
        broker.add_user("simulator")
        both = frozenset({"READ", "WRITE"})
        broker.grant("simulator", [Access(TOPIC, one.name, both) for one in needed("gateway", prefix)])
        yield broker
    finally:
        broker.stop()


def test_a_run_through_tls_and_logins_shows_no_difference(
    secured: SecuredBroker, prefix: str, tmp_path: Path
) -> None:
    plain: Any = SimpleNamespace(bootstrap=secured.plain)
    rest = f"127.0.0.1:{free_port()}"
    roles = Roles(plain, prefix, tmp_path, rest)
    roles.environ |= {
        "CALLSTREAM_SIMULATE_LISTEN": rest,
        "CALLSTREAM_TIME_FACTOR": "60",
        "CALLSTREAM_POLL_INTERVAL_S": "3",
        "CALLSTREAM_POLL_RATE": "400",
        "CALLSTREAM_POLL_CONCURRENCY": "16",
        "CALLSTREAM_POLL_SOURCES": ",".join(READ),
        "CALLSTREAM_OVERDUE_S": "60",
    }
    asked = ("--calls", "300", "--rate", "50", "--duplicates", "0.1", "--reorder", "0.1", "--drop", "0.05")
    sent = ("twilio_status_callback", "telnyx_webhook")
    simulator = roles.simulator(*asked, "--serve", "--sources", ",".join((*sent, *READ)))
    login = secured.settings("poller", "SCRAM-SHA-256")
    poller = Poller(plain, prefix, tmp_path, [], environ=roles.environ | login)
    for role, process in (("gateway", roles.gateway), ("worker", roles.worker), ("simulator", simulator)):
        process.environ |= roles.environ | secured.settings(role)
    with stopped_after(roles.gateway, roles.worker, simulator, poller.process):
        roles.start()
        poller.process.start()
        wait_until(poller.ready, "the poller is ready", 60)
        simulator.start()
        found = report_of(simulator)
        assert found["check"]["ok"] is True
        assert get_text(f"{roles.health}/readyz")[0] == 200
        poller_uses_the_rights_that_are_left(poller, plain, prefix)
        for process in (roles.gateway, roles.worker, poller.process):
            assert process.terminate()[0] == 0
            assert PASSWORD not in process.log.read_text()


def poller_uses_the_rights_that_are_left(poller: Poller, plain: Any, prefix: str) -> None:
    """The run has read `fetches` and `polling` and written `polled` and `polling`. A request that cannot be
    read becomes a dead letter, and one in the wrong partition is written to its own."""
    topic = topics.names(prefix)
    with Feed(plain.bootstrap, [RecordToSend(topic.fetches, 0, b"k", b"[]")]):
        pass
    wait_committed(plain, prefix)
    assert b"[]" in [one.value for one in read_topic(plain.bootstrap, topic.dead_letters)]
    account = json.loads(poller.process.environ["CALLSTREAM_POLL_ACCOUNTS"])[0]["id"]
    request = fetch_request("twilio:CA0", account)
    wrong = (partition_of(account_key("twilio", account), int(PARTITIONS)) + 1) % int(PARTITIONS)

    def partitions() -> set[int]:
        there = read_topic(plain.bootstrap, topic.fetches)
        return {one.partition for one in there if one.value and request.id.encode() in one.value}

    with Feed(plain.bootstrap, [RecordToSend(topic.fetches, wrong, b"k", msgspec.json.encode(request))]):
        wait_until(lambda: len(partitions()) == 2, "it is written to its own partition", 60)


def test_notify_hands_on_and_writes_dead_letters_with_its_rights(
    secured: SecuredBroker, prefix: str, tmp_path: Path
) -> None:
    """Its only sink is its log."""
    topic, plain = topics.names(prefix), cast(RealBroker, SimpleNamespace(bootstrap=secured.plain))
    listen = f"127.0.0.1:{free_port()}"
    notify = WorkerProcess(
        ("-m", "stream.cli", "notify"),
        {
            **secured.settings("notify"),
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": PARTITIONS,
            "CALLSTREAM_DATA_DIR": str(tmp_path / "data"),
            "CALLSTREAM_NOTIFY_LISTEN": listen,
        },
        tmp_path / "notify.log",
    )
    with stopped_after(notify):
        notify.start()
        wait_until(lambda: get_text(f"http://{listen}/readyz")[0] == 200, "notify is ready", 60)

        def handed_on() -> bool:
            produce(plain, prefix, [*conditions([1]), b"[]"])
            letters = {one.value for one in read_topic(secured.plain, topic.dead_letters)}
            return "webhook.failing" in notify.output() and letters == {b"[]"}

        wait_until(handed_on, "the alert is in the log, and what is none is a dead letter", 60)
        assert notify.terminate()[0] == 0
        assert "rights are missing" not in notify.output()
        assert PASSWORD not in notify.log.read_text()


def test_a_role_says_at_its_start_which_rights_it_lacks(
    secured: SecuredBroker, prefix: str, tmp_path: Path
) -> None:
    lacking = {topics.names(prefix).polled: {"WRITE"}, poller_group(prefix): {"READ"}}
    secured.add_user("half")
    for one in needed("poller", prefix):
        if left := one.operations - lacking.get(one.name, set()):
            secured.grant("half", [one._replace(operations=left)])
    plain: Any = SimpleNamespace(bootstrap=secured.plain)
    poller = Poller(plain, prefix, tmp_path, [], environ=secured.settings("half"))
    with stopped_after(poller.process):
        poller.process.start()
        wait_until(lambda: "rights are missing" in poller.process.output(), "it says so", 60)
    (polled, group) = lacking
    said = f"rights are missing: WRITE on topic {polled}, READ on group {group}; grant them, as docs/kafka.md"
    assert said in poller.process.output()


def test_doctor_names_the_right_that_is_missing(secured: SecuredBroker, prefix: str) -> None:
    def rights_of(user: str) -> Check:
        environ = {
            **secured.settings(user),
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": PARTITIONS,
        }
        *others, found = asyncio.run(cluster(load(environ)))
        assert [one.state for one in others] == ["ok", "ok"], others
        return found

    for role in ROLES:
        found = rights_of(role)
        assert (found.name, found.state) == ("rights", "ok")
        # An archive's login has all that the API needs.
        also = " and api" if role == "archive" else ""
        assert found.says.startswith(f"this login is for {role}{also} (")
    secured.add_user("nobody")
    for one in needed("gateway", prefix):
        lacking = {"WRITE"} if one.name == topics.names(prefix).dead_letters else set()
        secured.grant("nobody", [one._replace(operations=one.operations - lacking)])
    found = rights_of("nobody")
    assert (found.state, found.mend) == ("failed", "grant it, as docs/kafka.md has it")
    assert found.says.startswith(f"gateway needs WRITE on topic {prefix}dead-letters.v1; worker needs ")


def test_the_archive_keeps_what_comes_with_its_rights(
    secured: SecuredBroker, prefix: str, tmp_path: Path
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    archive = WorkerProcess(
        ("-m", "stream.cli", "archive"),
        {
            **secured.settings("archive"),
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": PARTITIONS,
            "CALLSTREAM_DATA_DIR": str(tmp_path / "data"),
            "CALLSTREAM_ARCHIVE_LISTEN": listen,
            "CALLSTREAM_ARCHIVE_RETENTION_DAYS": "3650",
        },
        tmp_path / "archive.log",
    )
    chosen = Settings(kafka=secured.plain, topic_prefix=prefix, data_dir=tmp_path / "data")
    records = written()
    with stopped_after(archive):
        archive.start()
        wait_until(lambda: get_text(f"http://{listen}/readyz")[0] == 200, "the archive is ready", 60)
        produce_told(chosen, records)
        kept = open_archive(archive_url("", chosen.data_dir))
        wait_until(lambda: ids_in(kept) == truth(records), "it keeps everything", 60)
        kept.close()
        assert archive.terminate()[0] == 0
        assert "rights are missing" not in archive.output()
        assert PASSWORD not in archive.log.read_text()
