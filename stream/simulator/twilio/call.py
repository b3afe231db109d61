"""A Twilio call leg and all that Twilio reports of it: callbacks, Calls rows, request log, Voice Insights.

Which reports there are and when is decided here; the other files of this folder write them.
"""

from __future__ import annotations

import random
from typing import Any

from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import ERROR_SOURCES, EVENT_STREAM, SENT_SOURCES, Options
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.twilio.callbacks import (
    EVENT_OF_STATUS,
    constant_parameters,
    parameters,
    status_callbacks,
)
from stream.simulator.twilio.calls_resource import CallVersion, call_row, delivered_versions, served_versions
from stream.simulator.twilio.error_log import ErrorTelling, LoggedError, logged_errors
from stream.simulator.twilio.event_stream import callback_event, insights_event
from stream.simulator.twilio.request_log import LoggedRequest, logged_requests, request_row
from stream.simulator.twilio.side_callbacks import (
    AMD,
    CONFERENCE,
    OTHER,
    RECORDING,
    side_callbacks,
    side_form,
)
from stream.simulator.twilio.voice_insights import (
    COMPLETE,
    PARTIAL,
    SDK,
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

SIDE_SOURCES = (RECORDING, AMD, CONFERENCE, OTHER)
_WITH_TOKEN = ("twilio_status_callback", "twilio_debugger", *SIDE_SOURCES)

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
        self.sides = [one for one in side_callbacks(self, parent) if one.source in wanted]
        made: list[LoggedRequest] = []
        told_of = wanted & {*ERROR_SOURCES, EVENT_STREAM}
        if told_of or "twilio_call_event" in wanted:
            made = logged_requests(
                rng, self, self.callbacks, options.failing_webhooks, options.webhook_delay_s, self.sides
            )
        self.requests = made if "twilio_call_event" in wanted else []
        self.errors: list[LoggedError] = logged_errors(self.id, made) if told_of else []
        self._telling = ErrorTelling(self, self._constant, self.callbacks)
        self.insights: list[InsightsEvent] = []
        if "twilio_insights_event" in wanted:
            self.insights = insights_events(rng, leg, options.errors)
        self.summaries = "twilio_call_summary" in wanted
        self._wanted = wanted
        self.streamed = self._streamed() if EVENT_STREAM in wanted else []

    def _streamed(self) -> list[ProviderReport]:
        """What Event Streams tell, as the reports that tell the same. Of identical twins they tell one."""
        end_us = self.leg.ended_us
        found = [ProviderReport("twilio_debugger", n, entry.at_us) for n, entry in enumerate(self.errors)]
        found += [
            ProviderReport("twilio_status_callback", n, sent.at_us) for n, sent in enumerate(self.callbacks)
        ]
        found += [ProviderReport(one.source, n, one.at_us) for n, one in enumerate(self.sides)]
        found += [
            ProviderReport("twilio_insights_event", n, end_us + INSIGHTS_AFTER_US)
            for n, event in enumerate(self.insights)
            if not event.ordinal
        ]
        summaries = (PARTIAL, COMPLETE) if self.summaries else ()
        return found + [ProviderReport("twilio_call_summary", n, end_us + LOG_AFTER_US) for n in summaries]

    def reports(self) -> list[ProviderReport]:
        end_us = self.leg.ended_us
        found: list[ProviderReport] = []
        if "twilio_status_callback" in self._wanted:
            found += [
                ProviderReport("twilio_status_callback", n, sent.at_us)
                for n, sent in enumerate(self.callbacks)
            ]
        if "twilio_debugger" in self._wanted:
            found += [
                ProviderReport("twilio_debugger", n, entry.at_us + DEBUGGER_US)
                for n, entry in enumerate(self.errors)
            ]
        found += [ProviderReport(one.source, n, one.at_us) for n, one in enumerate(self.sides)]
        found += [
            ProviderReport(EVENT_STREAM, n, told.at_us + STREAM_US) for n, told in enumerate(self.streamed)
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
            return request_row(self, self._constant, self.callbacks, self.sides, self.requests[number])
        if report.source == "twilio_call_summary":
            return summary_row(self, number)
        if report.source == EVENT_STREAM:
            return self._cloud_event(self.streamed[number])
        if report.source in SIDE_SOURCES:
            return dict(side_form(self, self.sides[number]))
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
        raise ValueError(source)

    def _cloud_event(self, told: ProviderReport) -> dict[str, Any]:
        if told.source == "twilio_debugger":
            return self._telling.stream_event(self.errors[told.number])
        body = self.body(told, 1)
        if told.source == "twilio_insights_event":
            kind = "sdk" if self.insights[told.number].edge == SDK else "gateway"
            return insights_event(self.id, f"call-event.{kind}", body, told.at_us)
        if told.source == "twilio_call_summary":
            kind = "complete" if told.number == COMPLETE else "partial"
            return insights_event(self.id, f"call-summary.{kind}", body, told.at_us)
        if told.source == "twilio_status_callback":
            kind = f"call.{EVENT_OF_STATUS[self.callbacks[told.number].status]}"
        else:
            kind = self.sides[told.number].stream_type
        return callback_event(self.id, kind, body, told.at_us)

    def endpoint(self, source: str) -> str:
        resource = f"/2010-04-01/Accounts/{self.account}/Calls/{self.id}"
        return {
            "twilio_status_callback": "/callbacks/twilio",
            **dict.fromkeys(("twilio_debugger", EVENT_STREAM, *SIDE_SOURCES), "/callbacks/twilio"),
            "twilio_alert": "/v1/Alerts",
            "twilio_notification": f"{resource}/Notifications.json",
            "twilio_call": f"{resource}.json",
            "twilio_call_event": f"{resource}/Events.json",
            "twilio_insights_event": f"/v1/Voice/{self.id}/Events",
            "twilio_call_summary": f"/v1/Voice/{self.id}/Summary",
        }[source]

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """Attempts of one delivery share a token; the third delivery of an event has another one."""
        if report.source not in _WITH_TOKEN:
            return None
        # The numbers of the call's sources do not overlap: it has few of each.
        number = report.number + 64 * _WITH_TOKEN.index(report.source)
        return f"{self.nonce + 16 * number + attempt // 3:032x}"
