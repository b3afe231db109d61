"""One run from beginning to end: note where the outputs stand, send the traffic, compare what comes out.

With a plan for a gateway the callbacks go there, and what it took is what must come out. Polled rows go to
Kafka, or in a served run to whoever reads them from the REST resources, which are up for as long as the run.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from stream.kafka.topics import names
from stream.simulator.calls.options import Options
from stream.simulator.check.check import OutputTopics, Waiting, check, mark
from stream.simulator.check.leaks import LeakSearch
from stream.simulator.check.metrics_and_logs import MetricsAndLogs
from stream.simulator.check.report import CheckReport
from stream.simulator.delivery.answers import AnswerStats
from stream.simulator.delivery.record_writer import Progress, RecordWriter
from stream.simulator.delivery.webhook_sender import WebhookPlan, WebhookSender, deliver
from stream.simulator.rest.server import serving
from stream.simulator.serve import LAST_LOOK_S, READ_S, RestPlan
from stream.simulator.traffic import Traffic


@dataclass(frozen=True)
class RunOutcome:
    """What was sent, and how it compared with the truth if that was asked for.

    `answers`: what the gateway said to the callbacks; None where there was none.
    """

    calls: int
    deliveries: int
    seconds: float
    report: CheckReport | None
    answers: AnswerStats | None = None


def output_topics(prefix: str) -> OutputTopics:
    """The topics with this prefix that are compared."""
    topics = names(prefix)
    return OutputTopics(
        topics.events,
        topics.ended,
        topics.alerts,
        topics.dead_letters,
        topics.alerts_active,
        topics.fetches,
    )


def traffic_for(prefix: str, options: Options, *, with_truth: bool = True) -> Traffic:
    """The traffic of a run to the source topics with this prefix."""
    topics = names(prefix)
    return Traffic(options, (topics.callbacks, topics.polled), with_truth=with_truth)


async def run(
    bootstrap: str,
    prefix: str,
    traffic: Traffic,
    *,
    compare: bool,
    timeout_s: float = 60.0,
    alone: bool = False,
    gateway: WebhookPlan | None = None,
    progress: Progress | None = None,
    waiting: Waiting | None = None,
    rest: RestPlan | None = None,
    search: LeakSearch | None = None,
    beside: MetricsAndLogs | None = None,
) -> RunOutcome:
    """Send the traffic, each delivery at its time if it has a rate; with `compare`, check what came out.

    `gateway`: where the callbacks go; None for Kafka, as a gateway lands them. A delivery that its provider
    gave up is lost to callbacks and not expected; one that the gateway refuses for good is a difference.
    `rest`: how a served run's resources are served, until the check has ended; without one until all has been
    there for a while. `search`, `beside`: as in `check`. Raises CheckError, ListenError, and what Kafka's
    producer raises.
    """
    async with AsyncExitStack() as stack:
        if rest is not None:
            assert traffic.world is not None, "rows that are delivered are not served"
            served = serving(traffic.world, rest.keys, rest.listen, limits=rest.limits, seen=rest.seen)
            rest.at(await stack.enter_async_context(served))
        outcome = await _sent(
            bootstrap,
            prefix,
            traffic,
            compare=compare,
            timeout_s=timeout_s,
            alone=alone,
            gateway=gateway,
            progress=progress,
            waiting=waiting,
            search=search,
            beside=beside,
        )
        if rest is not None and traffic.world is not None and not compare:
            await asyncio.sleep(traffic.world.owed_s(READ_S))
        return outcome


async def _sent(
    bootstrap: str,
    prefix: str,
    traffic: Traffic,
    *,
    compare: bool,
    timeout_s: float,
    alone: bool,
    gateway: WebhookPlan | None,
    progress: Progress | None,
    waiting: Waiting | None,
    search: LeakSearch | None,
    beside: MetricsAndLogs | None,
) -> RunOutcome:
    outputs = output_topics(prefix)
    since = await mark(bootstrap, outputs) if compare else None
    began = time.monotonic()
    paced = traffic.options.rate > 0
    answers = None
    async with RecordWriter(bootstrap) as writer:
        if gateway is None:
            await writer.write(traffic, paced=paced, progress=progress)
        else:
            async with WebhookSender(gateway, traffic) as courier:
                answers = courier.answers
                await deliver(traffic, writer, courier, paced=paced, progress=progress)
    seconds = time.monotonic() - began
    report = None
    if since is not None and traffic.truth is not None:
        world = traffic.world
        report = await check(
            bootstrap,
            outputs,
            traffic.truth,
            since,
            timeout_s=timeout_s,
            alone=alone,
            waiting=waiting,
            search=search,
            beside=beside,
            owed_s=None if world is None else lambda: world.owed_s(LAST_LOOK_S),
        )
        report.deliveries = traffic.deliveries
        if answers is not None:
            report.answered(answers)
    return RunOutcome(traffic.calls, traffic.deliveries, seconds, report, answers)
