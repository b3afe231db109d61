"""One run from start to end: note the end of the output topics, send the traffic, compare what came out.

With a plan for a gateway the callbacks go there, and what it accepted must come out. Polled rows go to Kafka,
or in a served run to a poller that reads them from the REST resources, which are served during the run.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from stream.kafka.client.connection import Connection
from stream.kafka.topics import names
from stream.provider_api.time_formats import iso_us
from stream.simulator.calls.call import ReportDelivery
from stream.simulator.calls.options import Options
from stream.simulator.check.check import CheckOptions, OutputTopics, check, end_offsets
from stream.simulator.check.report import CheckReport
from stream.simulator.delivery.answers import AnswerStats
from stream.simulator.delivery.record_writer import RecordWriter
from stream.simulator.delivery.webhook_sender import WebhookPlan, WebhookSender
from stream.simulator.incidents import Rehearsal
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.server import Refusal, serving
from stream.simulator.rest.throttle import ProviderLimits, RequestStats
from stream.simulator.traffic import Traffic

READ_S = 300.0
"""Without a check: how long the resources are served after everything can be read, in the providers' time."""

LAST_FETCH_S = 3600.0
"""With a check: the last fetch of the retry schedule, in the providers' time. Nothing is missing before."""

ROWS_LIMIT = 50_000
YIELD_EVERY = 200
PACE_S = 0.005

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPlan:
    """How the REST resources are served. `at` is called with the base URL; `stats` counts the requests;
    see `serving` for `refusal`."""

    listen: str
    credentials: ApiCredentials
    limits: ProviderLimits = field(default_factory=ProviderLimits)
    stats: RequestStats = field(default_factory=RequestStats)
    at: Callable[[str], None] = lambda _: None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class RunOutcome:
    """What was sent, and if asked for how it compared with the expected outputs."""

    calls: int
    deliveries: int
    seconds: float
    report: CheckReport | None
    answers: AnswerStats | None = None

    def as_json(self, options: Options) -> dict[str, Any]:
        return {
            "seed": options.seed,
            "start": iso_us(options.start_us),
            "calls": self.calls,
            "deliveries": self.deliveries,
            "seconds": round(self.seconds, 3),
            "deliveries_per_second": round(self._rate, 1),
            "gateway": self.answers.as_json() if self.answers else None,
            "check": self.report.as_json() if self.report else None,
        }

    def lines(self, options: Options) -> list[str]:
        return [
            f"{self.deliveries:,} deliveries of {self.calls:,} calls in {self.seconds:.1f} s"
            f" ({self._rate:,.0f}/s), --seed {options.seed} --start {iso_us(options.start_us)}",
            *(self.answers.lines() if self.answers is not None else ()),
            *(self.report.lines() if self.report is not None else ()),
        ]

    @property
    def _rate(self) -> float:
        return self.deliveries / self.seconds if self.seconds else 0.0


def output_topics(prefix: str) -> OutputTopics:
    """The topics with this prefix that are compared or searched."""
    topics = names(prefix)
    return OutputTopics(*(getattr(topics, name) for name in OutputTopics._fields))


def traffic_for(
    prefix: str, options: Options, *, with_expected: bool = True, rehearsal: Rehearsal | None = None
) -> Traffic:
    topics = names(prefix)
    written = (topics.callbacks, topics.polled)
    return Traffic(options, written, with_expected=with_expected, rehearsal=rehearsal)


async def run(
    connection: Connection,
    prefix: str,
    traffic: Traffic,
    *,
    gateway: WebhookPlan | None = None,
    rest: RestPlan | None = None,
    compare: CheckOptions | None = None,
    progress: Progress | None = None,
) -> RunOutcome:
    """Send the traffic, each delivery at its time if it has a rate, and compare what came out.

    Without a `gateway` the callbacks go to Kafka, as a gateway writes them. A served run's resources are
    served until the check has ended, or without a check until everything could be read for a while. Where a
    gateway took nothing, nothing is compared.
    Raises CheckError, ListenError and KafkaError.
    """
    outputs, providers = output_topics(prefix), traffic.providers
    async with AsyncExitStack() as stack:
        if rest is not None:
            assert providers is not None, "only a served run has REST resources"
            server = serving(
                providers,
                rest.credentials,
                rest.listen,
                limits=rest.limits,
                stats=rest.stats,
                refusal=rest.refusal,
            )
            rest.at(await stack.enter_async_context(server))
        since = await end_offsets(connection, outputs) if compare is not None else None
        began = time.monotonic()
        if traffic.rehearsal is not None:
            await stack.enter_async_context(traffic.rehearsal.playing())
        answers = await _send(connection, traffic, gateway, progress)
        seconds = time.monotonic() - began
        if answers is not None and answers.took_nothing:
            # All that follows from its callbacks would look missing.
            return RunOutcome(traffic.calls, traffic.deliveries, seconds, None, answers)
        report = None
        if compare is not None and since is not None and traffic.expected is not None:
            owed_s = partial(providers.owed_s, LAST_FETCH_S) if providers is not None else lambda: 0.0
            report = await check(connection, outputs, traffic.expected, since, compare, owed_s=owed_s)
            report.deliveries = traffic.deliveries
            if answers is not None:
                report.answered(answers)
        elif rest is not None and providers is not None:
            await asyncio.sleep(providers.owed_s(READ_S))
        return RunOutcome(traffic.calls, traffic.deliveries, seconds, report, answers)


async def _send(
    connection: Connection, traffic: Traffic, gateway: WebhookPlan | None, progress: Progress | None
) -> AnswerStats | None:
    async with RecordWriter(connection) as writer:
        if gateway is None:
            with _rare_collections():
                await deliver(traffic, writer, None, progress)
            return None
        async with WebhookSender(gateway) as sender:
            await deliver(traffic, writer, sender, progress)
        return sender.answers


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Traffic makes many small tuples and no cycles: collecting garbage would take a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def deliver(
    traffic: Traffic, writer: RecordWriter, sender: WebhookSender | None, progress: Progress | None = None
) -> None:
    """Send callbacks to the gateway in order, and write polled rows to Kafka at the same time; without a
    sender, write both. Each delivery is at its time if the traffic has a rate.

    A broker that does not answer holds up the rows and not the callbacks. Raises KafkaError.
    """
    began_s = time.monotonic()
    paced = traffic.options.rate > 0
    rows: asyncio.Queue[ReportDelivery | None] = asyncio.Queue()
    writing = asyncio.create_task(_write_rows(rows, traffic, writer))
    try:
        for count, delivery in enumerate(traffic.outgoing(), 1):
            due_s = began_s + (delivery.at_us - traffic.options.start_us) / 1e6
            while paced and (wait_s := due_s - time.monotonic()) > 0:
                if sender is None:
                    await writer.flush()
                await asyncio.sleep(max(wait_s, PACE_S))
                if progress is not None:
                    progress(traffic.deliveries)
            if sender is None:
                await writer.append(traffic.record(delivery))
            elif delivery.pushed:
                await sender.send(delivery)
            else:
                rows.put_nowait(delivery)
            if count % YIELD_EVERY == 0:
                await asyncio.sleep(0)
                if progress is not None:
                    progress(traffic.deliveries)
            while writing.done() or rows.qsize() > ROWS_LIMIT:
                if writing.done():
                    await writing
                await asyncio.sleep(PACE_S)
        rows.put_nowait(None)
        await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _write_rows(
    rows: asyncio.Queue[ReportDelivery | None], traffic: Traffic, writer: RecordWriter
) -> None:
    """Write rows until None comes, flushing every few milliseconds."""
    while (delivery := await rows.get()) is not None:
        await writer.append(traffic.record(delivery))
        if rows.empty():
            await writer.flush()
            await asyncio.sleep(PACE_S)
    await writer.acknowledged()
