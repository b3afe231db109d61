"""The app is put together without a broker, and gives the engine its group."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.faust_bridge.app import build_app
from stream.faust_bridge.consumer import FaustGroup
from stream.faust_bridge.consumer_thread import LaneConsumerThread
from stream.faust_bridge.store import MemoryStates, RocksStates
from stream.kafka import topics
from stream.kafka.client import consumers, network_client
from stream.service.settings import Settings
from tests.engine.fakes import KeepLast, NullObserver

NAMES = topics.names("calls.")


@pytest.mark.parametrize(("store", "kind"), [("memory", MemoryStates), ("rocksdb", RocksStates)])
async def test_an_app_is_put_together_without_a_broker(tmp_path: Path, store: Any, kind: type) -> None:
    chosen = Settings(topic_prefix="calls.", kafka="127.0.0.1:9", data_dir=tmp_path, store=store)
    app = build_app(chosen, KeepLast(), NullObserver())
    assert isinstance(app.table.data, kind)
    assert app.lanes.group.id == topics.app_id("calls.")
    assert app.lanes.group.session_timeout_s == chosen.session_timeout_s
    agents = {name: agent.channel.topics for name, agent in app.agents.items()}
    sources = {name: getattr(NAMES, name) for name in ("callbacks", "polled", "scopes", "ticks")}
    assert agents == {name: (topic,) for name, topic in sources.items()}


@pytest.mark.parametrize("security", ["plaintext", "ssl", "sasl_ssl"])
async def test_faust_makes_no_client_of_its_own(tmp_path: Path, security: str) -> None:
    """Its consumer is made as every client is, with the group's settings, and it has no producer."""
    login = {
        "kafka_sasl_mechanism": "SCRAM-SHA-512",
        "kafka_sasl_username": "worker",
        "kafka_sasl_password": "p",
    }
    chosen = Settings(
        kafka="127.0.0.1:9",
        kafka_security=security,
        kafka_client_rack="a",
        instance_id="one",
        data_dir=tmp_path,
        **(login if security == "sasl_ssl" else {}),  # type: ignore[arg-type]
    )
    app = build_app(chosen, KeepLast(), NullObserver())
    assert list(app.boot_strategy.kafka_producer()) == []
    thread: Any = object.__new__(LaneConsumerThread)
    thread.app = app
    consumer = thread._create_consumer(asyncio.get_running_loop())
    client = consumer._client
    assert (client._client_id, client._security_protocol) == ("callstream-worker", security.upper())
    assert (client._ssl_context is None) == (security == "plaintext")
    assert client._sasl_plain_username == ("worker" if security == "sasl_ssl" else None)
    assert (consumer._group_id, consumer._group_instance_id) == ("calls-worker", "one")
    assert (consumer._isolation_level, consumer._auto_offset_reset) == ("read_committed", "none")
    assert (consumer._session_timeout_ms, consumer._heartbeat_interval_ms) == (10_000, 2_000)
    assert (consumer._client_rack, consumer._enable_auto_commit) == ("a", False)
    await consumers.drop(consumer)


async def test_a_worker_that_no_longer_tells_its_lags_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(kafka="127.0.0.1:9", data_dir=tmp_path)
    app = build_app(chosen, KeepLast(), NullObserver())

    async def end() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app.lanes, "report_lag_every_second", end)
    (background,) = app._app_tasks
    try:
        with pytest.raises(ZeroDivisionError):  # which crashes the app
            await asyncio.wait_for(background(), 5)
    finally:
        await network_client.cancel_all(app._background)


def test_the_group_pauses_and_resumes_faust_s_partitions() -> None:
    active = {TP("callbacks", 3), TP("callbacks", 4)}
    consumer = SimpleNamespace(on_buffer_full=active.discard, on_buffer_drop=active.add, _thread="thread")
    app: Any = SimpleNamespace(consumer=consumer, consumer_generation_id=7)
    group = FaustGroup(app)
    group.pause("callbacks", 3)
    assert active == {TP("callbacks", 4)}
    group.resume("callbacks", 3)
    assert active == {TP("callbacks", 3), TP("callbacks", 4)}
    assert (group.generation, group.reader) == (7, "thread")
