"""Telnyx' reports of a call: webhooks, and the debugging log that says how their delivery went.

Where rows are served they name the account, as the provider's do, and `webhook_deliveries` tells the same
deliveries once more.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.simulator.calls import planted
from stream.simulator.calls.call import ProviderReport
from stream.simulator.calls.options import Options
from stream.simulator.calls.planted import planted_for
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.calls.seeded_random import between_us, uuid_text
from stream.simulator.calls.time_formats import iso_us
from stream.simulator.telnyx.deliveries import WebhookDelivery, deliveries, delivery_row

WEBHOOK_URL = "https://app.example.test/telnyx"
LOG_AFTER_US = 20 * SECOND_US
_QUALITY = {"mos": "4.50", "jitter_max_variance": "8.10", "packet_count": "1450", "skip_packet_count": "2"}


class TelnyxEvent(NamedTuple):
    """A webhook: its event, its id, when it occurred, what it says beyond the call's own fields."""

    name: str
    id: str
    at_us: int
    extra: dict[str, Any]


class LogRow(NamedTuple):
    """A row of `call_events`: of this webhook or (None) of a command. `failed`: it was not delivered."""

    hook: int | None
    name: str
    at_us: int
    failed: bool


class TelnyxCall:
    """One Telnyx call leg."""

    __slots__ = (
        "_sends",
        "_served",
        "account",
        "common",
        "deliveries",
        "doubtful",
        "hooks",
        "id",
        "key",
        "leg",
        "log",
        "planted",
        "seen",
        "session",
        "webhook_url",
    )

    def __init__(
        self, rng: random.Random, account: str, leg: CallLeg, session: str, options: Options
    ) -> None:
        self.id = uuid_text(rng)
        self.key = "telnyx:" + self.id
        self.account = account
        self.leg = leg
        self.session = session
        self.seen: set[tuple[str, int]] = set()
        self.doubtful: set[tuple[str, int]] = set()
        self.common = {
            "call_control_id": "v3:" + self.id.replace("-", ""),
            "call_leg_id": self.id,
            "call_session_id": session,
            "connection_id": "1700000000000000001",
            "client_state": None,
            "from": leg.caller.text,
            "to": leg.callee.text,
            "start_time": iso_us(leg.began_us),
        }
        self.planted = of = planted_for(self.key) if options.planted else None
        self.webhook_url = WEBHOOK_URL
        if of is not None:
            self.webhook_url = of.url
            self.common |= planted.webhook(of)
        self.hooks = _hooks(rng, leg)
        self.log: list[LogRow] = []
        self.deliveries: list[WebhookDelivery] = []
        wanted = options.sources
        if wanted & {"telnyx_call_event", "telnyx_webhook_delivery"}:
            log = _log(rng, leg, self.hooks, options)
            self.log = log if "telnyx_call_event" in wanted else []
            self.deliveries = deliveries(rng, log) if "telnyx_webhook_delivery" in wanted else []
        self._sends = "telnyx_webhook" in wanted
        self._served = options.served

    def reports(self) -> list[ProviderReport]:
        """See SimulatedCall."""
        found: list[ProviderReport] = []
        if self._sends:
            found += [ProviderReport("telnyx_webhook", n, hook.at_us) for n, hook in enumerate(self.hooks)]
        log_us = self.leg.ended_us + LOG_AFTER_US
        found += [ProviderReport("telnyx_call_event", n, log_us, 0) for n in range(len(self.log))]
        return found + [
            ProviderReport("telnyx_webhook_delivery", n, sent.finished_us, 0)
            for n, sent in enumerate(self.deliveries)
        ]

    def held(self) -> set[tuple[str, int]]:
        """See SimulatedCall."""
        return {(r.source, r.number) for r in self.reports() if r.source != "telnyx_webhook"}

    def passing(self) -> set[tuple[str, int]]:
        """See SimulatedCall: a row is there once its event is, also of a call whose end is not to come."""
        over_us = self.leg.ended_us
        logged = {("telnyx_call_event", n) for n, row in enumerate(self.log) if row.at_us < over_us}
        sent = {
            ("telnyx_webhook_delivery", n) for n, d in enumerate(self.deliveries) if d.finished_us < over_us
        }
        return logged | sent

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        """See SimulatedCall."""
        if report.source == "telnyx_webhook":
            meta = {"attempt": attempt, "delivered_to": self.webhook_url}
            return {"data": self.event(self.hooks[report.number]), "meta": meta}
        if report.source == "telnyx_webhook_delivery":
            return delivery_row(self, self.deliveries[report.number])
        return self._log_row(self.log[report.number], attempt)

    def event(self, hook: TelnyxEvent) -> dict[str, Any]:
        """The event in a webhook and in the log."""
        return {
            "record_type": "event",
            "event_type": hook.name,
            "id": hook.id,
            "occurred_at": iso_us(hook.at_us),
            "payload": {**self.common, **hook.extra},
        }

    def _log_row(self, row: LogRow, attempt: int) -> dict[str, Any]:
        """`attempt` is among what may differ between two reads of one row."""
        metadata: dict[str, Any] = {}
        if row.hook is not None:
            metadata = {
                "attempt": attempt,
                "delivered_to": self.webhook_url,
                "status": "failed" if row.failed else "delivered",
                "event": self.event(self.hooks[row.hook]),
            }
            if self._served:
                metadata["organization_id"] = self.account
        return {
            "record_type": "call_event",
            "call_leg_id": self.id,
            "call_session_id": self.session,
            "event_timestamp": iso_us(row.at_us),
            "name": row.name,
            "type": "command" if row.hook is None else "webhook",
            "metadata": metadata,
        }

    def endpoint(self, source: str) -> str:
        """See SimulatedCall."""
        return {
            "telnyx_webhook": "/callbacks/telnyx",
            "telnyx_call_event": "/v2/call_events",
            "telnyx_webhook_delivery": "/v2/webhook_deliveries",
        }[source]

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """Telnyx sends none."""
        return None


def _hooks(rng: random.Random, leg: CallLeg) -> list[TelnyxEvent]:
    found: list[TelnyxEvent] = []

    def hook(name: str, at_us: int, **extra: Any) -> None:
        found.append(TelnyxEvent(name, uuid_text(rng), at_us + rng.randrange(1000), extra))

    direction = "incoming" if leg.direction == "inbound" else "outgoing"
    state = "parked" if direction == "incoming" else "bridging"
    hook("call.initiated", leg.began_us, direction=direction, state=state)
    if leg.answered_us is not None:
        hook("call.answered", leg.answered_us, state="answered")
        if leg.direction == "outbound-dial":
            hook("call.bridged", leg.answered_us + 30_000, state="bridged")
    _hangup(hook, leg)
    _afterwards(hook, rng, leg)
    return found


def _hangup(hook: Any, leg: CallLeg) -> None:
    ending = leg.ending
    extra: dict[str, Any] = {
        "state": "hangup",
        "hangup_cause": ending.cause,
        "hangup_source": "caller" if ending.status == "canceled" else "callee",
        "end_time": iso_us(leg.ended_us),
    }
    if ending.sip is not None:
        extra["sip_hangup_cause"] = str(ending.sip)
    if leg.answered_us is not None:
        extra["call_quality_stats"] = {"inbound": _QUALITY, "outbound": {"packet_count": "1448"}}
    hook("call.hangup", leg.ended_us, **extra)


def _afterwards(hook: Any, rng: random.Random, leg: CallLeg) -> None:
    """What comes after the end: a recording, the cost."""
    if leg.answered_us is None:
        return
    chance = rng.random()
    if chance < 0.02:
        hook("call.recording.error", leg.ended_us + 400_000, reason="Failed to authorize with storage")
    elif chance < 0.25:
        hook(
            "call.recording.saved",
            leg.ended_us + between_us(rng, 1, 4),
            recording_id=uuid_text(rng),
            channels="dual",
            format="mp3",
            recording_started_at=iso_us(leg.answered_us),
            recording_ended_at=iso_us(leg.ended_us),
        )
    if rng.random() < 0.4:
        minutes = -(-leg.talk_s // 60)
        hook(
            "call.cost",
            leg.ended_us + between_us(rng, 2, 8),
            status="success",
            total_cost=f"{minutes * 0.007:.4f}",
            billed_duration_secs=minutes * 60,
            billing_group_id=None,
        )


def _log(rng: random.Random, leg: CallLeg, hooks: list[TelnyxEvent], options: Options) -> list[LogRow]:
    rows = []
    if leg.direction != "inbound":
        rows.append(LogRow(None, "dial", leg.began_us - 1000, False))
    elif leg.answered_us is not None:
        rows.append(LogRow(None, "answer", leg.answered_us - 1000, False))
    for n, hook in enumerate(hooks):
        rows.append(LogRow(n, hook.name, hook.at_us, rng.random() < options.failing_webhooks))
    return rows
