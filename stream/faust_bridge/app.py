"""The Faust app, put together: settings, table, transport, agents, lanes, ticks.

Faust's settings here are those that the fault runs were made with.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from yarl import URL

from stream.engine.batch import BatchPolicy, Processor
from stream.engine.lanes import Lanes
from stream.engine.status import Observer, Phase
from stream.engine.ticks import Ticker
from stream.faust_bridge.consumer import FaustGroup, LaneTransport
from stream.faust_bridge.recovery import LaneTableManager
from stream.faust_bridge.store import StateTable
from stream.kafka import topics
from stream.kafka.client import producers
from stream.kafka.client.connection import Connection, connection
from stream.kafka.client.member_commit import Member
from stream.kafka.transactional_producer import Produced, TransactionalProducer
from stream.service.process import collect_rarely
from stream.service.settings import WorkerSettings

HEARTBEATS_A_SESSION = 5
REBALANCE_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 40.0

NOISY_LOGGERS = ("faust", "aiokafka", "mode", "kafka", "callstream.faust")


class _WithoutProducer(BootStrategy):
    enable_kafka_producer = False


class LanesApp(faust.App):
    """A Faust app with an agent for each source topic, which feeds the lanes. Made by `build_app`."""

    logger = logging.getLogger("callstream.faust")
    # Only the lanes and the ticker write.
    BootStrategy = _WithoutProducer
    connection: Connection
    lanes: Lanes
    table: StateTable
    _background: tuple[asyncio.Task[None], ...] = ()

    async def on_first_start(self) -> None:
        """Extends App.on_first_start: a batch of a thousand records must not start a garbage collection."""
        collect_rarely()
        await super().on_first_start()

    async def on_stop(self) -> None:
        """Extends App.on_stop: no tick is sent while the lanes drain."""
        self.lanes.enter(Phase.STOPPING)
        for task in self._background:
            task.cancel()
        await super().on_stop()


def build_app(
    settings: WorkerSettings,
    processor: Processor,
    observer: Observer,
) -> LanesApp:
    """The worker's app over `settings.kafka`, which must name a broker."""
    names = topics.names(settings.topic_prefix)
    # Offset tables on each rebalance, and thousands of errors a second while no broker is there.
    for name in NOISY_LOGGERS:
        if logging.getLogger(name).level == logging.NOTSET:  # `CALLSTREAM_LOG_LEVEL` comes first
            logging.getLogger(name).setLevel(logging.WARNING)
    app = LanesApp(
        topics.app_id(settings.topic_prefix),
        broker=[URL(f"kafka://{address.strip()}") for address in settings.kafka.split(",")],
        datadir=str(settings.data_dir),
        store=f"{settings.store}://",
        topic_partitions=settings.partitions,
        TableManager=LaneTableManager,
        Table=StateTable,
        consumer_group_instance_id=settings.instance_id or None,
        broker_session_timeout=float(settings.session_timeout_s),
        broker_heartbeat_interval=settings.session_timeout_s / HEARTBEATS_A_SESSION,
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        broker_request_timeout=max(REQUEST_TIMEOUT_S, float(settings.session_timeout_s)),
        broker_commit_interval=1.0,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    app.connection = connection(settings, "worker", partitions=settings.partitions)
    app.transport = LaneTransport(app.conf.broker_consumer, app)
    app.table = cast(
        StateTable,
        app.Table("calls", key_type=bytes, value_type=bytes, partitions=settings.partitions),
    )
    group = FaustGroup(app)

    def new_producer(name: int | str, produced: Produced, member: Member) -> TransactionalProducer:
        return TransactionalProducer(group.id, name, app.connection, produced, member)

    app.lanes = Lanes(
        group,
        app.table.states,
        sources=(names.callbacks, names.polled, names.scopes, names.ticks),
        changelog=names.changelog,
        new_producer=new_producer,
        processor=processor,
        observer=observer,
        policy=BatchPolicy(
            latency_s=settings.latency_ms / 1000,
            tries=min(BatchPolicy().tries, settings.max_errors_in_a_row),
        ),
    )

    async def hand_to_lanes(stream: Any) -> None:
        async for event in stream.noack().events():
            for chunk in event.message.value:
                app.lanes.put(chunk)

    for agent in ("callbacks", "polled", "scopes", "ticks"):
        source = getattr(names, agent)
        topic = app.topic(source, key_type=bytes, value_type=bytes, value_serializer="raw")
        app.agent(topic, name=agent)(hand_to_lanes)

    ticker = Ticker(
        names.ticks,
        lambda: producers.idempotent(app.connection, names.ticks),
        app.lanes.partition_numbers,
        app.lanes.ticks,
        acknowledged=app.lanes.tick_acknowledged,
        failed=lambda: app.lanes.observer.error("tick"),
    )

    @app.task
    async def background() -> None:
        app._background = (
            asyncio.create_task(app.lanes.report_lag_every_second()),
            asyncio.create_task(ticker.run()),
        )
        await asyncio.gather(*app._background)  # one that fails crashes the app

    return app
