"""A Twilio call leg and all that Twilio reports of it: callbacks, Calls rows, request log, Voice Insights.

Which reports there are and when is decided here; the other files of this folder write them.
"""

from __future__ import annotations

import random
from typing import Any

from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import ERROR_SOURCES, EVENT_STREAM, SENT_SOURCES, Options
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.twilio.callbacks import constant_parameters, parameters, status_callbacks
from stream.simulator.twilio.calls_resource import CallVersion, call_row, delivered_versions, served_versions
from stream.simulator.twilio.error_log import ErrorTelling, LoggedError, logged_errors
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


LISTED = 0
"""In place of an attempt: an alert as its list has it, without the request and its answer."""

DEBUGGER_US, STREAM_US = 1 * SECOND_US, 2 * SECOND_US
"""From an error until Twilio sends its entry of the error log."""


class TwilioCall(SimulatedCall):
    """`versions`, `requests`, `errors` and `insights` are empty for sources that are left out."""

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
        made: list[LoggedRequest] = []
        if wanted & {"twilio_call_event", *ERROR_SOURCES}:
            made = logged_requests(
                rng, self, self.callbacks, options.failing_webhooks, options.webhook_delay_s
            )
        self.requests = made if "twilio_call_event" in wanted else []
        self.errors: list[LoggedError] = logged_errors(self.id, made) if wanted & ERROR_SOURCES else []
        self._telling = ErrorTelling(self, self._constant, self.callbacks)
        self.insights: list[InsightsEvent] = []
        if "twilio_insights_event" in wanted:
            self.insights = insights_events(rng, leg, options.errors)
        self.summaries = "twilio_call_summary" in wanted
        self._wanted = wanted

    def reports(self) -> list[ProviderReport]:
        end_us = self.leg.ended_us
        found: list[ProviderReport] = []
        if "twilio_status_callback" in self._wanted:
            found += [
                ProviderReport("twilio_status_callback", n, sent.at_us)
                for n, sent in enumerate(self.callbacks)
            ]
        for source, after_us in (("twilio_debugger", DEBUGGER_US), (EVENT_STREAM, STREAM_US)):
            if source in self._wanted:
                found += [
                    ProviderReport(source, n, entry.at_us + after_us) for n, entry in enumerate(self.errors)
                ]
        found.sort(key=lambda report: report.at_us)
        found += [ProviderReport("twilio_call", n, row.read_us) for n, row in enumerate(self.versions)]
        found += [
            ProviderReport("twilio_insights_event", n, end_us + INSIGHTS_AFTER_US, event.ordinal)
            for n, event in enumerate(self.insights)
        ]
        found += [
            ProviderReport("twilio_call_event", n, end_us + LOG_AFTER_US, 0)
            for n in range(len(self.requests))
        ]
        for source in self._error_lists():
            found += [
                ProviderReport(source, n, max(end_us, entry.at_us) + INSIGHTS_AFTER_US, 0)
                for n, entry in enumerate(self.errors)
            ]
        if self.summaries:
            found += [ProviderReport("twilio_call_summary", n, end_us, 0) for n in (PARTIAL, COMPLETE)]
        return found

    def readable(self) -> set[tuple[str, int]]:
        rows = {(r.source, r.number) for r in self.reports() if r.source not in SENT_SOURCES}
        return rows - self._replaced()

    def transient(self) -> set[tuple[str, int]]:
        """What another version replaces; and the alerts, which are listed during the call."""
        alerts = range(len(self.errors)) if "twilio_alert" in self._wanted else ()
        return self._replaced() | {("twilio_alert", n) for n in alerts}

    def _replaced(self) -> set[tuple[str, int]]:
        """The Calls row before the end, the summary before it is complete."""
        last = self.leg.ending.status
        found = {("twilio_call", n) for n, row in enumerate(self.versions) if row.status != last}
        return found | ({("twilio_call_summary", PARTIAL)} if self.summaries else set())

    def _error_lists(self) -> list[str]:
        """The lists that are read for the call's errors. Notifications of answered calls are not read."""
        answered = self.leg.ending.status == "completed"
        lists = ["twilio_alert"] if answered else ["twilio_alert", "twilio_notification"]
        return [source for source in lists if source in self._wanted]

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
        if report.source in ERROR_SOURCES:
            return self._error(report.source, self.errors[number], attempt)
        return event_row(self, self.insights[number])

    def _error(self, source: str, entry: LoggedError, attempt: int) -> dict[str, Any]:
        telling = self._telling
        if source == "twilio_debugger":
            return telling.debugger_form(entry)
        if source == "twilio_alert":
            return telling.alert_row(entry, single=attempt != LISTED)
        if source == "twilio_notification":
            return telling.notification_row(entry)
        return telling.stream_event(entry)

    def endpoint(self, source: str) -> str:
        resource = f"/2010-04-01/Accounts/{self.account}/Calls/{self.id}"
        return {
            "twilio_status_callback": "/callbacks/twilio",
            "twilio_debugger": "/callbacks/twilio",
            EVENT_STREAM: "/callbacks/twilio",
            "twilio_alert": "/v1/Alerts",
            "twilio_notification": f"{resource}/Notifications.json",
            "twilio_call": f"{resource}.json",
            "twilio_call_event": f"{resource}/Events.json",
            "twilio_insights_event": f"/v1/Voice/{self.id}/Events",
            "twilio_call_summary": f"/v1/Voice/{self.id}/Summary",
        }[source]

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """Attempts of one delivery share a token; the third delivery of an event has another one."""
        if report.source not in ("twilio_status_callback", "twilio_debugger"):
            return None
        number = report.number + (len(self.callbacks) if report.source == "twilio_debugger" else 0)
        return f"{self.nonce + 16 * number + attempt // 3:032x}"
