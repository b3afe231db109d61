"""The Faust app with its job: `agents.app.app`, which `faust -A agents worker` finds.

Puts the parts together and decides nothing. Reading `app` loads the settings, finds the broker and creates
the topics that are missing; importing this module does none of that.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
from contextlib import AsyncExitStack
from typing import Any

import faust.cli.base
import mode

from agents.job import call_processor
from agents.processor import CallProcessor
from stream.contracts.published import published
from stream.engine.status import worker_live, worker_ready
from stream.faust_bridge import process, tested_versions
from stream.faust_bridge.app import LanesApp, build_app
from stream.kafka import topics
from stream.service import data_dir, logs, settings
from stream.service.alert_settings import AlertSettings
from stream.service.http import health
from stream.service.metrics.registry import LabelChoice
from stream.service.metrics.worker import WorkerMetrics
from stream.service.tables.alert_rules import load_rules, reload_rules

log = logging.getLogger("callstream.worker")


class HealthServer(mode.Service):
    """The worker's HTTP server, up while the app is, also during recovery."""

    def __init__(self, app: LanesApp, metrics: WorkerMetrics, chosen: settings.WorkerSettings) -> None:
        super().__init__()
        self._app = app
        self._metrics = metrics
        self._chosen = chosen
        self._open = AsyncExitStack()

    async def on_start(self) -> None:
        url = await self._open.enter_async_context(
            health.serve(
                self._chosen.worker_listen,
                metrics=self._metrics.exposition,
                live=lambda: worker_live(self._app.lanes.progress()),
                ready=lambda: worker_ready(self._app.lanes.progress()),
                documents=lambda: published(self._chosen),
            )
        )
        log.info("health and metrics at %s", url)

    async def on_stop(self) -> None:
        await self._open.aclose()


class RulesReader(mode.Service):
    """Reads the file of alert rules again at each SIGHUP."""

    def __init__(self, chosen: AlertSettings, processor: CallProcessor) -> None:
        super().__init__()
        self._chosen = chosen
        self._processor = processor

    async def on_start(self) -> None:
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, reload_rules, self._chosen.rules, self._processor.use_rules, self._chosen.ui_url
        )


def build(chosen: settings.WorkerSettings) -> LanesApp:
    """The worker's app for these settings; `chosen.kafka` must name a broker. Raises DataDirError."""
    if chosen.store == "rocksdb":
        data_dir.prepare(chosen.data_dir)
    names = topics.names(chosen.topic_prefix)
    choice = LabelChoice(
        [(one.url, one.name) for one in chosen.endpoints],
        chosen.metric_error_codes,
        chosen.metric_sip_codes,
        dict(chosen.metric_accounts),
        chosen.metric_providers,
    )
    metrics = WorkerMetrics(chosen.account_alias, topics.roles(names), choice=choice)
    logging.getLogger().addHandler(metrics.log_counter)
    processor = call_processor(chosen, names, metrics, load_rules(chosen.rules, chosen.ui_url))
    app = build_app(chosen, processor, metrics)
    app.add_dependency(HealthServer(app, metrics, chosen))
    app.add_dependency(RulesReader(chosen, processor))
    return app


def from_environment() -> LanesApp:
    """The app of the environment's settings, on a running broker, with its topics in place.

    Raises UntestedVersion, SettingsError, BrokerError and TopicError, each of which says what to do.
    """
    logs.install()
    tested_versions.check()
    faust.cli.base.exiting = process.exiting
    os.umask(data_dir.UMASK)
    chosen = settings.load()
    if not chosen.kafka:
        from stream.broker import BrokerError
        from stream.broker.ownership import find_running

        running = find_running(chosen.data_dir / "broker")
        if running is None:
            raise BrokerError("no broker: set CALLSTREAM_KAFKA, or start one with `callstream up`")
        chosen = dataclasses.replace(chosen, kafka=f"127.0.0.1:{running.port}")
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(topics.ensure(chosen.kafka, chosen))
    finally:
        loop.close()
    return build(chosen)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = app = from_environment()
    return app
