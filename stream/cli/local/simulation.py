"""The simulator of `callstream up`: what it is started with, and the settings that speed time up for it."""

from __future__ import annotations

import time
from typing import NamedTuple

from stream.poller.resources.account import accounts
from stream.service.settings import Settings

SIMULATED_SETTINGS: dict[str, str] = {
    "time_factor": "60",
    "poll_interval_s": "5",
    "poll_lookback_s": "900",
    "overdue_s": "900",
}
"""Faster than the real providers, so that nobody waits half an hour. A setting that is set is kept.

No healthy call lasts as long as `overdue_s`, and windows need not reach further back than `poll_lookback_s`:
simulated talks end after ten minutes.
"""

BUDGET: dict[str, int] = {"rate": 500, "concurrency": 20}
"""Limits of the simulated accounts, far above what is needed: a busy machine's event loop is late for each
request, and a tight rate makes up for 10 ms only. A real account that is also configured keeps its own."""

RETRY_POLICY = "rc=5&rp=all&rt=5000"
"""Twilio's connection overrides, `#…` at the end of a callback's URL: retry after every kind of failure."""

RATE = 20.0
"""Deliveries a second. Each call of them is read four or five times, and on two busy cores the poller reads
thirty times a second."""

UNHEALTHY = "--duplicates=0.05", "--reorder=0.05", "--late=0.02", "--failed=0.15", "--drop=0.02"
"""Without a rehearsal: something of everything, so that there is something to see."""


class RehearsalPlan(NamedTuple):
    """An incident, how long there is healthy traffic before it, and how long it lasts."""

    incident: str
    after_s: float
    for_s: float

    @property
    def arguments(self) -> list[str]:
        name, after_s, for_s = self
        return ["--incident", name, "--incident-after", f"{after_s:g}", "--incident-for", f"{for_s:g}"]


def simulate_arguments(gateway: str, rate: float, plan: RehearsalPlan | None) -> list[str]:
    """Of `callstream simulate`, until it is stopped."""
    return [
        *("simulate", "--forever", "--rate", f"{rate:g}", "--seed", str(time.time_ns() % 1_000_000_007)),
        *("--serve", "--gateway", gateway, "--retry-policy", RETRY_POLICY),
        *(UNHEALTHY if plan is None else plan.arguments),
    ]


def simulated_pace(chosen: Settings) -> dict[str, str]:
    """The variables that speed up time. Empty if real accounts are read, since they keep real time."""
    if accounts(chosen):
        return {}
    return {
        f"CALLSTREAM_{name.upper()}": value
        for name, value in SIMULATED_SETTINGS.items()
        if is_default(chosen, name)
    }


def simulated_budget(chosen: Settings) -> dict[str, int]:
    """The simulated accounts' `rate` and `concurrency`, where they are not set."""
    return {name: value for name, value in BUDGET.items() if is_default(chosen, f"poll_{name}")}


def is_default(chosen: Settings, name: str) -> bool:
    return bool(getattr(chosen, name) == getattr(Settings(), name))
