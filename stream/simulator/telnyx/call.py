"""A Telnyx call leg and all that Telnyx reports of it: webhooks, the debugging log, webhook deliveries."""

from __future__ import annotations

import random
from typing import Any

from stream.provider_api.time_formats import iso_us
from stream.simulator.calls import planted
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import Options
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.calls.seeded_random import uuid_text
from stream.simulator.telnyx.delivery_log import (
    LogRow,
    WebhookDelivery,
    deliveries,
    delivery_row,
    log_metadata,
    log_rows,
    webhook_url,
)
from stream.simulator.telnyx.webhooks import event_body, telnyx_events

LOG_AFTER_US = 20 * SECOND_US
"""When a delivered row of the log is read, counted from the call's end."""


class TelnyxCall(SimulatedCall):
    """`log` and `deliveries` are empty for sources that are left out.

    Served log rows name the account, as the provider's do.
    """

    provider = "telnyx"

    def __init__(
        self, rng: random.Random, account: str, leg: CallLeg, session: str, options: Options
    ) -> None:
        super().__init__(uuid_text(rng), account, leg, options)
        self.session = session
        self._common = {
            "call_control_id": "v3:" + self.id.replace("-", ""),
            "call_leg_id": self.id,
            "call_session_id": session,
            "connection_id": "1700000000000000001",
            "client_state": None,
            "from": leg.caller.text,
            "to": leg.callee.text,
            "start_time": iso_us(leg.began_us),
        }
        if self.planted is not None:
            self._common |= self.planted.fill(planted.WEBHOOK)
        self.events = telnyx_events(rng, leg)
        self.log: list[LogRow] = []
        self.deliveries: list[WebhookDelivery] = []
        wanted = options.sources
        if wanted & {"telnyx_call_event", "telnyx_webhook_delivery"}:
            log = log_rows(rng, leg, self.events, options.failing_webhooks)
            self.log = log if "telnyx_call_event" in wanted else []
            self.deliveries = deliveries(rng, log) if "telnyx_webhook_delivery" in wanted else []
        self._sends = "telnyx_webhook" in wanted
        self._served = options.served

    def reports(self) -> list[ProviderReport]:
        found: list[ProviderReport] = []
        if self._sends:
            found += [ProviderReport("telnyx_webhook", n, event.at_us) for n, event in enumerate(self.events)]
        log_us = self.leg.ended_us + LOG_AFTER_US
        found += [ProviderReport("telnyx_call_event", n, log_us, 0) for n in range(len(self.log))]
        return found + [
            ProviderReport("telnyx_webhook_delivery", n, delivery.finished_us, 0)
            for n, delivery in enumerate(self.deliveries)
        ]

    def readable(self) -> set[tuple[str, int]]:
        return {(r.source, r.number) for r in self.reports() if r.source != "telnyx_webhook"}

    def transient(self) -> set[tuple[str, int]]:
        """A row appears with its event, even if the run stops before the call's end."""
        over_us = self.leg.ended_us
        logged = {("telnyx_call_event", n) for n, row in enumerate(self.log) if row.at_us < over_us}
        sent = {
            ("telnyx_webhook_delivery", n) for n, d in enumerate(self.deliveries) if d.finished_us < over_us
        }
        return logged | sent

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        if report.source == "telnyx_webhook":
            meta = {"attempt": attempt, "delivered_to": webhook_url(self)}
            return {"data": self._event(report.number), "meta": meta}
        if report.source == "telnyx_webhook_delivery":
            delivery = self.deliveries[report.number]
            return delivery_row(self, delivery, self._event(delivery.event))
        return self._log_row(self.log[report.number], attempt)

    def _event(self, number: int) -> dict[str, Any]:
        return event_body(self.events[number], self._common)

    def _log_row(self, row: LogRow, attempt: int) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        if row.event is not None:
            metadata = log_metadata(self, row, self._event(row.event), attempt)
            if self._served:
                metadata["organization_id"] = self.account
        return {
            "record_type": "call_event",
            "call_leg_id": self.id,
            "call_session_id": self.session,
            "event_timestamp": iso_us(row.at_us),
            "name": row.name,
            "type": "command" if row.event is None else "webhook",
            "metadata": metadata,
        }

    def endpoint(self, source: str) -> str:
        return {
            "telnyx_webhook": "/callbacks/telnyx",
            "telnyx_call_event": "/v2/call_events",
            "telnyx_webhook_delivery": "/v2/webhook_deliveries",
        }[source]
