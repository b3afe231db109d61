"""Incidents to rehearse: for a span of a live run something goes wrong, as it does in production.

The traffic before and after is healthy: with it none of the shipped alert rules fires. Calls are short, so
that those of the incident have soon ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

from stream.provider_api.http_types import ApiResponse, ErrorResponses
from stream.simulator.calls.options import Options
from stream.simulator.delivery.webhooks import SigningKeys, other_keys

HEALTHY: Mapping[str, Any] = {"failed": 0.0, "errors": 0.0, "longest_talk_s": 60, "planted": False}
"""Options of healthy traffic. Planted numbers would make endpoints of their own, more than metrics name."""

STOPPED_S, RUNNING_S = 4.0, 1.0
"""How a slow broker is made: it is stopped this long and then runs this long, again and again. Shorter than
the sessions of Kafka's clients, longer than a provider of webhooks waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What is wrong while it lasts, and what a person should then see.

    - `alerts`: the alerts that fire; `possible`: consequences that fire only if it lasts long enough.
    - `lasts_s`: long enough for `alerts` with the rules as they are shipped.
    - `calls`: options of the calls that begin meanwhile; `no_calls`: none begin.
    - `new_keys`: the providers sign with keys that the gateway does not know.
    - `refusal`: how the REST resources answer; `refused`: which requests in turn, of which the others are
      answered as usual.
    - `slow_broker`: the embedded broker is stopped in short strokes.
    """

    what: str
    alerts: tuple[str, ...]
    dashboard: str
    lasts_s: float
    possible: tuple[str, ...] = ()
    calls: Mapping[str, Any] = field(default_factory=dict)
    no_calls: bool = False
    new_keys: bool = False
    refusal: Callable[[ErrorResponses], ApiResponse] | None = None
    refused: tuple[bool, ...] = (True,)
    slow_broker: bool = False

    @property
    def shows(self) -> str:
        """What a person should see."""
        possible = f" If it lasts: {', '.join(self.possible)}." if self.possible else ""
        return f"{self.what} Alerts: {', '.join(self.alerts)}.{possible} Dashboard: {self.dashboard}."

    @property
    def help(self) -> str:
        return f"{self.shows} Lasts {self.lasts_s / 60:.0f} min."


INCIDENTS: Mapping[str, Incident] = {
    "carrier-outage": Incident(
        what="Nine in ten calls fail at the carrier.",
        alerts=("CallstreamCallFailureRatioHigh", "CallstreamIneffectiveAttemptsHigh"),
        possible=(
            "CallstreamErrorEventsBurst",
            "CallstreamAnswerSeizureRatioDropped",
            "CallstreamConditionFiring",
            "CallstreamLabelValuesCapped",
        ),
        dashboard="Calls",
        lasts_s=900,
        calls={"failed": 0.9},
    ),
    "webhook-down": Incident(
        what="Your application answers the providers with errors, too late or not at all.",
        alerts=("CallstreamAppWebhookFailing",),
        possible=("CallstreamConditionFiring", "CallstreamAppWebhookSlow", "CallstreamLabelValuesCapped"),
        dashboard="Application webhooks",
        lasts_s=1800,
        calls={"failing_webhooks": 0.9},
    ),
    "webhook-slow": Incident(
        what="Your application takes 6 s to answer Twilio.",
        alerts=("CallstreamAppWebhookSlow",),
        possible=("CallstreamConditionFiring",),
        dashboard="Application webhooks",
        lasts_s=2400,
        calls={"webhook_delay_s": 6.0},
    ),
    "traffic-stops": Incident(
        what="No calls begin. The rule compares with the same time a week ago.",
        alerts=("CallstreamTrafficVanished",),
        dashboard="Calls",
        lasts_s=3000,
        no_calls=True,
    ),
    "broker-slow": Incident(
        what=f"Kafka is silent for {STOPPED_S:.0f} of {STOPPED_S + RUNNING_S:.0f} s, so that webhooks get"
        " a 503. Only the embedded broker can be slowed.",
        alerts=("CallstreamIngestErrorBudgetBurn", "CallstreamProduceFailing"),
        possible=("CallstreamDuplicatesHigh", "CallstreamConsumerLagGrowing"),
        dashboard="Pipeline",
        lasts_s=600,
        slow_broker=True,
    ),
    "duplicate-storm": Incident(
        what="The providers send nearly every webhook again.",
        alerts=("CallstreamDuplicatesHigh",),
        dashboard="Pipeline",
        lasts_s=3600,
        calls={"duplicates": 0.95},
    ),
    "signature-rotation": Incident(
        what="The providers sign with new keys, which the gateway does not know: every webhook is refused.",
        alerts=("CallstreamSignatureFailures",),
        possible=("CallstreamCallbacksMissing", "CallstreamConditionFiring"),
        dashboard="Pipeline",
        lasts_s=1200,
        new_keys=True,
    ),
    "credentials-revoked": Incident(
        what="The REST resources answer 401.",
        alerts=("CallstreamPollCredentialsRejected",),
        possible=("CallstreamPollStale",),
        dashboard="Polling and reconciliation",
        lasts_s=900,
        refusal=lambda errors: errors.unauthenticated(),
    ),
    "poller-throttled": Incident(
        what="The REST resources answer two of three requests with 429.",
        alerts=("CallstreamPollThrottled",),
        dashboard="Polling and reconciliation",
        lasts_s=1800,
        refusal=lambda errors: errors.too_many(1),
        refused=(True, True, False),
    ),
}


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """An incident in a run: it begins `after_s` after the run's start and lasts `for_s`.

    - `broker_pid`: the process that a slow broker stops.
    - `say`: told when the incident begins and when it is over.
    """

    name: str
    after_s: float
    for_s: float
    broker_pid: int | None = None
    say: Callable[[str], None] = lambda _: None
    _began_s: float = field(default=0.0, init=False)
    _refused: cycle[bool] = field(init=False)
    _keys: SigningKeys = field(default_factory=other_keys, init=False, repr=False)

    def __post_init__(self) -> None:
        self._refused = cycle(self.incident.refused)

    @property
    def incident(self) -> Incident:
        return INCIDENTS[self.name]

    def is_on(self, elapsed_s: float) -> bool:
        return self.after_s <= elapsed_s < self.after_s + self.for_s

    def calls(self, usual: Options, elapsed_s: float) -> Options | None:
        """The options of the calls that begin now; None: no calls begin."""
        if not self.is_on(elapsed_s):
            return usual
        return None if self.incident.no_calls else replace(usual, **self.incident.calls)

    def keys(self, usual: SigningKeys) -> SigningKeys:
        """What the providers sign with now."""
        return self._keys if self.incident.new_keys and self._is_on_now() else usual

    def refusal(self, errors: ErrorResponses) -> ApiResponse | None:
        """The answer to a REST request now; None: as usual."""
        refuses = self.incident.refusal
        if refuses is None or not self._is_on_now():
            return None
        return refuses(errors) if next(self._refused) else None

    def _is_on_now(self) -> bool:
        return bool(self._began_s) and self.is_on(time.monotonic() - self._began_s)

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """The run is in this block: its time begins, and a broker that was stopped runs at its end."""
        self._began_s = time.monotonic()
        playing = asyncio.create_task(self._play())
        try:
            yield
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def _play(self) -> None:
        await asyncio.sleep(self.after_s)
        self.say(f"{self.name} begins. {self.incident.shows}")
        if self.incident.slow_broker and self.broker_pid is not None:
            await _slow(self.broker_pid, self.for_s)
        else:
            await asyncio.sleep(self.for_s)
        self.say(f"{self.name} is over. Its alerts resolve.")


async def _slow(pid: int, seconds: float) -> None:
    """Stop and continue a process in strokes. It runs when this returns, also when it is cancelled."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(RUNNING_S)
