"""One run from beginning to end: note where the outputs stand, write the traffic, compare what comes out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stream.runtime.topics import names
from stream.simulate.check import OutputTopics, Waiting, check, mark
from stream.simulate.options import Options
from stream.simulate.report import Report
from stream.simulate.traffic import Traffic
from stream.simulate.write import Progress, Writer


@dataclass(frozen=True)
class Outcome:
    """What was written, and how it compared with the truth if that was asked for."""

    calls: int
    deliveries: int
    seconds: float
    report: Report | None


def output_topics(prefix: str) -> OutputTopics:
    """The topics with this prefix that are compared."""
    topics = names(prefix)
    return OutputTopics(topics.events, topics.ended, topics.alerts, topics.dead_letters)


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
    progress: Progress | None = None,
    waiting: Waiting | None = None,
) -> Outcome:
    """Write the traffic, each delivery at its time if it has a rate; with `compare`, check what came out.

    Raises CheckError, and what Kafka's producer raises.
    """
    outputs = output_topics(prefix)
    since = await mark(bootstrap, outputs) if compare else None
    began = time.monotonic()
    async with Writer(bootstrap) as writer:
        await writer.write(traffic, paced=traffic.options.rate > 0, progress=progress)
    seconds = time.monotonic() - began
    report = None
    if since is not None and traffic.truth is not None:
        report = await check(
            bootstrap, outputs, traffic.truth, since, timeout_s=timeout_s, alone=alone, waiting=waiting
        )
        report.deliveries = traffic.deliveries
    return Outcome(traffic.calls, traffic.deliveries, seconds, report)
