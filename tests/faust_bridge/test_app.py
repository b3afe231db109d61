"""The app is put together without a broker, and gives the engine its group."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.faust_bridge.app import build_app
from stream.faust_bridge.consumer import FaustGroup
from stream.faust_bridge.store import MemoryStates, RocksStates
from stream.kafka import topics
from stream.service.settings import Settings
from tests.engine.fakes import KeepLast, NullObserver

NAMES = topics.names("calls.")


@pytest.mark.parametrize(("store", "kind"), [("memory", MemoryStates), ("rocksdb", RocksStates)])
def test_an_app_is_put_together_without_a_broker(tmp_path: Path, store: Any, kind: type) -> None:
    chosen = Settings(topic_prefix="calls.", kafka="127.0.0.1:9", data_dir=tmp_path, store=store)
    app = build_app(chosen, KeepLast(), NullObserver())
    assert isinstance(app.table.data, kind)
    assert app.lanes.group.id == topics.app_id("calls.")
    assert app.lanes.group.session_timeout_s == chosen.session_timeout_s
    agents = {name: agent.channel.topics for name, agent in app.agents.items()}
    sources = {"callbacks": NAMES.callbacks, "polled": NAMES.polled, "ticks": NAMES.ticks}
    assert agents == {name: (topic,) for name, topic in sources.items()}


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
