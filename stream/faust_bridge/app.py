"""The Faust app, put together: settings, table, transport, lanes, ticks.

The rule of this file: what Faust is told here is what `ground.py`'s fault runs were made with.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import faust
from yarl import URL

from stream.engine.batch import Processor
from stream.engine.lane import Pace
from stream.engine.lanes import Lanes
from stream.engine.observer import NullObserver, Observer, Phase
from stream.engine.states import States
from stream.engine.ticks import Ticker
from stream.faust_bridge.consumer import LaneTransport
from stream.faust_bridge.recovery import LaneTableManager
from stream.faust_bridge.store import StateTable
from stream.kafka import topics

if TYPE_CHECKING:
    from stream.service.settings import Settings

HEARTBEATS_A_SESSION = 5
REBALANCE_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 40.0
FETCH_BYTES = 1 << 20

BATCH_TRIES = 10
"""How often one batch is tried, with growing pauses (about 25 s in all), before the process ends.

Single records that fail are the job's to set aside; a batch that fails whole is for a supervisor to see."""

COLLECT_AFTER = (100_000, 20, 20)
"""For the garbage collector: at Python's 700 it cost a fifth of a recovery's time."""

NOISY_LOGGERS = ("faust", "aiokafka", "mode", "kafka", "callstream.faust")


class LanesApp(faust.App):
    """A Faust app whose agents feed lanes. Made by `build_app`."""

    logger = logging.getLogger("callstream.faust")
    lanes: Lanes
    table: StateTable
    _pulse: tuple[asyncio.Task[None], ...] = ()

    @property
    def states(self) -> States:
        """The table's states, by partition."""
        return self.table.states

    async def on_first_start(self) -> None:
        """Extends App.on_first_start: a thousand records are no reason to look for garbage."""
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        await super().on_first_start()

    async def on_stop(self) -> None:
        """Extends App.on_stop: no tick is sent any more while the lanes drain."""
        self.lanes.enter(Phase.STOPPING)
        for task in self._pulse:
            task.cancel()
        await super().on_stop()


def build_app(
    settings: Settings,
    processor: Processor,
    observer: Observer | None = None,
    *,
    pace: Pace | None = None,
    ticking: bool = True,
) -> LanesApp:
    """The worker's app over `settings.kafka`, which must name a broker.

    Agents are declared on it by the caller.
    """
    names = topics.names(settings.topic_prefix)
    app_id = topics.app_id(settings.topic_prefix)
    for (
        name
    ) in NOISY_LOGGERS:  # offset tables on each rebalance, thousands of errors a second without a broker
        logging.getLogger(name).setLevel(logging.WARNING)
    app = LanesApp(
        app_id,
        broker=[URL(f"kafka://{address.strip()}") for address in settings.kafka.split(",")],
        datadir=str(settings.data_dir),
        store=f"{settings.store}://",
        topic_partitions=settings.partitions,
        TableManager=LaneTableManager,
        Table=StateTable,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id or None,
        consumer_max_fetch_size=FETCH_BYTES,
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
    app.transport = LaneTransport(app.conf.broker_consumer, app)
    connection: Mapping[str, Any] = {"bootstrap_servers": settings.kafka}
    app.lanes = Lanes(
        app,
        sources=(names.callbacks, names.polled, names.ticks),
        changelog=names.changelog,
        connection=connection,
        processor=processor,
        observer=observer or NullObserver(),
        pace=pace or Pace(),
        max_errors_in_a_row=min(BATCH_TRIES, settings.max_errors_in_a_row),
    )
    app.table = cast(
        StateTable,
        app.Table("calls", key_type=bytes, value_type=bytes, partitions=settings.partitions),
    )
    ticker = Ticker(
        names.ticks,
        connection,
        app.lanes.numbers,
        app.lanes.wants,
        acknowledged=app.lanes.acknowledged,
        failed=lambda: app.lanes.observer.error("tick"),
    )

    @app.task
    async def pulse() -> None:
        app._pulse = (asyncio.create_task(app.lanes.pulse()),)
        if ticking:
            app._pulse += (asyncio.create_task(ticker.run()),)

    return app
