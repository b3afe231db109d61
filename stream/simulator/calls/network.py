"""What the network does to a call's reports: repeats, overtakes, loses and delays them.

The rule of this file: nothing here looks into a report. A lost callback is lost with all its repetitions.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.calls.seeded_random import between_us

_PUSHED = frozenset(CALLBACK_SOURCES)


class ScheduledReport(NamedTuple):
    """A report on its way: when it is received, and the how-manieth time (from 1)."""

    due_us: int
    report: ProviderReport
    attempt: int


def deliveries(rng: random.Random, call: SimulatedCall, options: Options) -> list[ScheduledReport]:
    """Everything of a call that will be received, in no order. Rows that are served are not among it."""
    pushed: list[ProviderReport] = []
    read: list[ProviderReport] = []
    for report in call.reports():
        (pushed if report.source in _PUSHED else read).append(report)
    found = [
        ScheduledReport(due_us, report, 1)
        for due_us, report in _sent(rng, pushed, call.leg.ended_us, options)
    ]
    if not options.served:
        found += [ScheduledReport(report.at_us, report, 1) for report in read]
    if options.duplicates:
        found += _repeated(rng, found, options.duplicates)
    return found


def _sent(
    rng: random.Random, reports: list[ProviderReport], ended_us: int, options: Options
) -> list[tuple[int, ProviderReport]]:
    """When each callback arrives. Last one first: what is overtaken comes after its successor."""
    chance = rng.random
    found: list[tuple[int, ProviderReport]] = []
    successor_us = 0
    for report in reversed(reports):
        due_us = report.at_us + 20_000 + int(chance() * 130_000)
        if options.late and chance() < options.late:
            due_us = max(due_us, ended_us) + between_us(rng, 5, 60)
        if options.reorder and successor_us and chance() < options.reorder:
            due_us = max(due_us, successor_us + 1000 + int(chance() * 200_000))
        successor_us = due_us
        if not options.drop or chance() >= options.drop:
            found.append((due_us, report))
    return found


def _repeated(rng: random.Random, first: list[ScheduledReport], share: float) -> list[ScheduledReport]:
    """Repetitions of some deliveries; one in ten of them comes a third time."""
    found = []
    for due_us, report, attempt in first:
        if rng.random() < share:
            again_us = due_us + between_us(rng, 0.01, 8)
            found.append(ScheduledReport(again_us, report, attempt + 1))
            if rng.random() < 0.1:
                found.append(ScheduledReport(again_us + between_us(rng, 0.01, 8), report, attempt + 2))
    return found
