"""`callstream notify` as a role: its parts, its start and its stop.

It reads the alerts and hands them to the sinks. The worker does not know of it. To stop means: what is being
sent is cancelled (it is sent again after the next start), what is done is committed, exit with 0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

from stream.kafka import topics
from stream.kafka.access import notify_group
from stream.kafka.acked_producer import AckedProducer, BufferFullError, NotAcknowledgedError
from stream.kafka.client.connection import connection
from stream.kafka.envelope_codec import dead_letter_headers
from stream.kafka.oversized_records import DeadLetteringProducer
from stream.notify.active_alerts import ActiveAlerts
from stream.notify.alertmanager_worker import AlertmanagerWorker
from stream.notify.firing import firing_of
from stream.notify.sink_worker import GroupMembership, SinkWorker
from stream.notify.sinks import sink_of
from stream.notify.sinks.sink import TIMEOUT_S
from stream.service.background_tasks import live, log_ended
from stream.service.http import client, health
from stream.service.metrics.label_values import UNKNOWN
from stream.service.metrics.notify import NotifyMetrics
from stream.service.metrics.registry import LabelChoice
from stream.service.process import stop_asked, unless
from stream.service.settings import NotifySettings
from stream.service.tables.notify_tables import routes_of, sinks_of

STAGE = "notify"
FLUSH_S = 2.0
WRITE_S = 30.0
RETRY_S = 1.0
NOBODY = "no sink is configured: alerts are written to this log"

log = logging.getLogger("callstream.notify")


@asynccontextmanager
async def serving(chosen: NotifySettings) -> AsyncIterator[Notifier]:
    """The role at work while the block runs. `chosen.kafka` must name a broker.

    Raises ListenError, KafkaError.
    """
    async with client.session(timeout_s=TIMEOUT_S) as http:
        notifier = Notifier(chosen, http)
        try:
            async with health.serve(
                chosen.notify_listen,
                metrics=notifier.metrics.exposition,
                live=notifier.live,
                ready=notifier.ready,
                setting="CALLSTREAM_NOTIFY_LISTEN",
            ) as url:
                notifier.url = url
                await notifier.start()
                yield notifier
        finally:
            await notifier.close()


class Notifier:
    """The parts of the role: one worker for each sink, and what they share."""

    def __init__(self, chosen: NotifySettings, http: aiohttp.ClientSession) -> None:
        names = topics.names(chosen.topic_prefix)
        cluster = connection(chosen, "notify", partitions=chosen.partitions)
        routes = {sink: routes_of(sink, chosen) for sink in sinks_of(chosen)}
        self.url = ""
        self.metrics = NotifyMetrics(
            [(sink.name, one.name) for sink, of in routes.items() for one in of],
            topics.roles(names),
            LabelChoice(providers=chosen.metric_providers),
        )
        logging.getLogger().addHandler(self.metrics.log_counter)
        self._is_unconfigured = not chosen.notify_sinks
        self._producer = AckedProducer(names.dead_letters, cluster, produced=self.metrics.produced)
        self._dead_letters = DeadLetteringProducer(
            self._producer,
            topic=names.dead_letters,
            dead_letters=names.dead_letters,
            stage=STAGE,
            dead_lettered=lambda _: None,
        )
        self._active = ActiveAlerts(cluster, names.alerts_active)
        self.workers: list[SinkWorker | AlertmanagerWorker] = []
        for sink, of in routes.items():
            if sink.type == "alertmanager":
                poster = AlertmanagerWorker(sink, of, http, metrics=self.metrics)
                self._active.observers.append(poster.observe)
                self.workers.append(poster)
                continue
            firing = firing_of(of)
            self._active.observers.append(firing.observe)
            self.workers.append(
                SinkWorker(
                    sink,
                    of,
                    sink_of(sink, http),
                    firing=firing,
                    membership=GroupMembership(
                        cluster,
                        names.alerts,
                        notify_group(chosen.topic_prefix, sink.name),
                        chosen.session_timeout_s,
                    ),
                    write_dead_letters=self._write_dead_letters,
                    metrics=self.metrics,
                )
            )
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Read what is firing, then serve the sinks. Raises KafkaError."""
        if self._is_unconfigured:
            log.warning("%s", NOBODY)
        await self._producer.start()
        self.tasks["the watch over the broker"] = asyncio.create_task(self._producer.watch())
        self.tasks["what is firing"] = asyncio.create_task(self._active.run())
        for one in self.workers:
            self.tasks[f"the sink {one.name}"] = asyncio.create_task(self._serve(one))

    async def _serve(self, worker: SinkWorker | AlertmanagerWorker) -> None:
        await self._active.known.wait()
        await worker.run()

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self._producer.close(FLUSH_S)
        logging.getLogger().removeHandler(self.metrics.log_counter)

    async def _write_dead_letters(self, records: Sequence[Any], reason: str, error: str) -> None:
        """Returns when the broker has them, however long that takes."""
        for one in records:
            headers = dead_letter_headers(
                reason, STAGE, error, one.topic, one.partition, one.offset, one.headers
            )
            while True:
                try:
                    await self._dead_letters.send_all([one], WRITE_S, headers=headers)
                except (NotAcknowledgedError, BufferFullError):
                    await asyncio.sleep(RETRY_S)
                else:
                    break
            self.metrics.dead_letter(UNKNOWN, reason)

    def live(self) -> tuple[bool, Sequence[str]]:
        return live(self.tasks)

    def ready(self) -> tuple[bool, Sequence[str]]:
        return ready(
            self._producer.trouble(),
            is_known=self._active.known.is_set(),
            sinks={one.name: one.trouble for one in self.workers},
            notes=[NOBODY] if self._is_unconfigured else [],
        )


def ready(
    trouble: str | None, *, is_known: bool, sinks: Mapping[str, str | None], notes: Sequence[str] = ()
) -> tuple[bool, Sequence[str]]:
    """Whether Kafka can be used and what is firing is known; and which sinks take nothing, which no restart
    helps.

    - `sinks`: of each its name and why it takes nothing, or None.
    """
    reasons = [trouble] if trouble else []
    if not is_known:
        reasons.append("it is not known yet what is firing")
    reasons += [f"the sink {name} takes nothing: {why}" for name, why in sinks.items() if why is not None]
    return trouble is None and is_known, [*reasons, *notes]


async def serve(chosen: NotifySettings) -> int:
    """Serve until SIGTERM or SIGINT, or until a background task has ended. Returns the exit code."""
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            notifier = await unless(asked, stack.enter_async_context(serving(chosen)))
            if notifier is not None:
                log.info("health and metrics at %s", notifier.url)
                tasks = notifier.tasks
                await unless(asked, asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED))
                if not asked.is_set():
                    log_ended(tasks)
                    return 1
            log.info("stopping")
    return 0
