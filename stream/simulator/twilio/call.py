"""A Twilio call leg and all that Twilio reports of it: callbacks, Calls rows, request log, Voice Insights.

Which reports there are and when is decided here; the other files of this folder write them.
"""

from __future__ import annotations

import random
from typing import Any

from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import Options
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.twilio.callbacks import constant_parameters, parameters, status_callbacks
from stream.simulator.twilio.calls_resource import CallVersion, call_row, delivered_versions, served_versions
from stream.simulator.twilio.request_log import LoggedRequest, logged_requests, request_row
from stream.simulator.twilio.voice_insights import (
    COMPLETE,
    PARTIAL,
    InsightsEvent,
    event_row,
    insights_events,
    summary_row,
)

INSIGHTS_AFTER_US, LOG_AFTER_US = 3 * SECOND_US, 30 * SECOND_US
"""A thirtieth of the provider's own delays (90 s, 15 min), so that a short run sees these rows.

Only for rows that are delivered; served rows appear after the delays of `calls.call`.
"""


class TwilioCall(SimulatedCall):
    """`versions`, `requests` and `insights` are empty for sources that are left out."""

    provider = "twilio"

    def __init__(
        self, rng: random.Random, account: str, leg: CallLeg, parent: str | None, options: Options
    ) -> None:
        super().__init__(f"CA{rng.getrandbits(128):032x}", account, leg, options)
        self.parent = parent
        self.nonce = rng.getrandbits(96)
        self._constant = constant_parameters(self, parent)
        wanted = options.sources
        self.callbacks = status_callbacks(rng, leg)
        self.versions: list[CallVersion] = []
        if "twilio_call" in wanted:
            self.versions = (
                served_versions(leg, options.time_factor) if options.served else delivered_versions(rng, leg)
            )
        self.requests: list[LoggedRequest] = []
        if "twilio_call_event" in wanted:
            self.requests = logged_requests(rng, self, self.callbacks, options.failing_webhooks)
        self.insights: list[InsightsEvent] = []
        if "twilio_insights_event" in wanted:
            self.insights = insights_events(rng, leg, options.errors)
        self.summaries = "twilio_call_summary" in wanted
        self._sends = "twilio_status_callback" in wanted

    def reports(self) -> list[ProviderReport]:
        end_us = self.leg.ended_us
        found: list[ProviderReport] = []
        if self._sends:
            found += [
                ProviderReport("twilio_status_callback", n, sent.at_us)
                for n, sent in enumerate(self.callbacks)
            ]
        found += [ProviderReport("twilio_call", n, row.read_us) for n, row in enumerate(self.versions)]
        found += [
            ProviderReport("twilio_insights_event", n, end_us + INSIGHTS_AFTER_US, event.ordinal)
            for n, event in enumerate(self.insights)
        ]
        found += [
            ProviderReport("twilio_call_event", n, end_us + LOG_AFTER_US, 0)
            for n in range(len(self.requests))
        ]
        if self.summaries:
            found += [ProviderReport("twilio_call_summary", n, end_us, 0) for n in (PARTIAL, COMPLETE)]
        return found

    def readable(self) -> set[tuple[str, int]]:
        rows = {(r.source, r.number) for r in self.reports() if r.source != "twilio_status_callback"}
        return rows - self.transient()

    def transient(self) -> set[tuple[str, int]]:
        """The Calls row before the end, the summary before it is complete."""
        last = self.leg.ending.status
        found = {("twilio_call", n) for n, row in enumerate(self.versions) if row.status != last}
        return found | ({("twilio_call_summary", PARTIAL)} if self.summaries else set())

    @property
    def has_late_insights(self) -> bool:
        """The last of its Voice Insights events appears late; one call in twenty."""
        return self.nonce % 20 == 0

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        number = report.number
        if report.source == "twilio_status_callback":
            return parameters(self, self._constant, self.callbacks[number])
        if report.source == "twilio_call":
            return call_row(self, self.parent, self.versions[number])
        if report.source == "twilio_call_event":
            return request_row(self, self._constant, self.callbacks, self.requests[number])
        if report.source == "twilio_call_summary":
            return summary_row(self, number)
        return event_row(self, self.insights[number])

    def endpoint(self, source: str) -> str:
        resource = f"/2010-04-01/Accounts/{self.account}/Calls/{self.id}"
        return {
            "twilio_status_callback": "/callbacks/twilio",
            "twilio_call": f"{resource}.json",
            "twilio_call_event": f"{resource}/Events.json",
            "twilio_insights_event": f"/v1/Voice/{self.id}/Events",
            "twilio_call_summary": f"/v1/Voice/{self.id}/Summary",
        }[source]

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """Attempts of one delivery share a token; the third delivery of an event has another one."""
        if report.source != "twilio_status_callback":
            return None
        return f"{self.nonce + 16 * report.number + attempt // 3:032x}"
