"""Twilio's reports of a call: status callbacks, Calls rows, the request log, Voice Insights.

The rule of this file: it says which there are and when; `twilio_rows`, `twilio_summary` and
`twilio_callbacks` write them down.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.simulator.calls import delays, planted
from stream.simulator.calls.call import ProviderReport
from stream.simulator.calls.options import Options
from stream.simulator.calls.planted import planted_for
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.calls.seeded_random import Weighted, between_us
from stream.simulator.twilio import callbacks, summary
from stream.simulator.twilio import rows as twilio_rows
from stream.simulator.twilio.insights import InsightsEvent, insights

STATUS_URL = "https://app.example.test/voice/status"
ANSWER_URL = "https://app.example.test/voice/answer"
API_URL = "https://api.twilio.com/2010-04-01/Accounts/{account}/Calls.json"

INSIGHTS_AFTER_US, LOG_AFTER_US, PRICE_AFTER_US = 3 * SECOND_US, 30 * SECOND_US, 20 * SECOND_US
"""A thirtieth of the providers' own delays (90 s, 15 min, 10 min), so that a short run sees them.
It is for rows that are delivered; those that are served are there after `delays`.
"""

TIMEOUT, NO_ANSWER = -1, 0
_FAILURES: Weighted[int] = Weighted(
    (5, 500), (4, 503), (3, 502), (3, 404), (2, 403), (1, 429), (3, TIMEOUT), (2, NO_ANSWER)
)


class StatusCallback(NamedTuple):
    """A status callback: the status that it carries, when, and its number (None from senders without one)."""

    status: str
    at_us: int
    number: int | None


class CallVersion(NamedTuple):
    """The Calls resource as it was at one reading; of one that is served, as it was since `read_us`."""

    status: str
    read_us: int
    priced: bool


class LoggedRequest(NamedTuple):
    """A row of the request log.

    `step` says which callback it delivered, None for other requests; `answer` is the response code, TIMEOUT
    or NO_ANSWER, `duration_ms` how long the application took.
    """

    url: str
    step: int | None
    status: str
    at_us: int
    answer: int
    duration_ms: int

    @property
    def failing(self) -> bool:
        """The customer's application did not do what it should."""
        return self.answer < 400 if self.answer <= 0 else self.answer >= 400


class TwilioCall:
    """One Twilio call leg."""

    __slots__ = (
        "_sends",
        "account",
        "base",
        "callbacks",
        "doubtful",
        "id",
        "insights",
        "key",
        "leg",
        "nonce",
        "parent",
        "planted",
        "requests",
        "rows",
        "seen",
        "summaries",
    )

    def __init__(
        self, rng: random.Random, account: str, leg: CallLeg, parent: str | None, options: Options
    ) -> None:
        self.id = f"CA{rng.getrandbits(128):032x}"
        self.key = "twilio:" + self.id
        self.account = account
        self.leg = leg
        self.parent = parent
        self.nonce = rng.getrandbits(96)
        self.seen: set[tuple[str, int]] = set()
        self.doubtful: set[tuple[str, int]] = set()
        self.planted = planted_for(self.key) if options.planted else None
        self.base = callbacks.constant_part(self.id, account, leg, parent, self.planted)
        wanted = options.sources
        self.callbacks = _callbacks(rng, leg)
        self.rows: list[CallVersion] = []
        if "twilio_call" in wanted:
            self.rows = _states(leg, options.time_factor) if options.served else _rows(rng, leg)
        self.requests: list[LoggedRequest] = []
        if "twilio_call_event" in wanted:
            self.requests = _requests(rng, self, options.failing_webhooks)
        self.insights: list[InsightsEvent] = []
        if "twilio_insights_event" in wanted:
            self.insights = insights(rng, leg, options.errors)
        self.summaries = "twilio_call_summary" in wanted
        self._sends = "twilio_status_callback" in wanted

    def reports(self) -> list[ProviderReport]:
        """See SimulatedCall."""
        end_us = self.leg.ended_us
        found: list[ProviderReport] = []
        if self._sends:
            found += [
                ProviderReport("twilio_status_callback", n, c.at_us) for n, c in enumerate(self.callbacks)
            ]
        found += [ProviderReport("twilio_call", n, row.read_us) for n, row in enumerate(self.rows)]
        insights_us, log_us = end_us + INSIGHTS_AFTER_US, end_us + LOG_AFTER_US
        found += [
            ProviderReport("twilio_insights_event", n, insights_us, i.ordinal)
            for n, i in enumerate(self.insights)
        ]
        found += [ProviderReport("twilio_call_event", n, log_us, 0) for n in range(len(self.requests))]
        if self.summaries:
            versions = (summary.PARTIAL, summary.COMPLETE)
            found += [ProviderReport("twilio_call_summary", version, end_us, 0) for version in versions]
        return found

    def held(self) -> set[tuple[str, int]]:
        """See SimulatedCall."""
        rows = {(r.source, r.number) for r in self.reports() if r.source != "twilio_status_callback"}
        return rows - self.passing()

    def passing(self) -> set[tuple[str, int]]:
        """See SimulatedCall: the resource before its end, the summary before it is complete."""
        last = self.leg.ending.status
        found = {("twilio_call", n) for n, row in enumerate(self.rows) if row.status != last}
        return found | ({("twilio_call_summary", summary.PARTIAL)} if self.summaries else set())

    @property
    def tardy(self) -> bool:
        """Voice Insights has the last of its events late; one call in twenty."""
        return self.nonce % 20 == 0

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        """See SimulatedCall."""
        if report.source == "twilio_status_callback":
            return callbacks.body(self, self.callbacks[report.number])
        if report.source == "twilio_call":
            return twilio_rows.call_row(self, self.rows[report.number])
        if report.source == "twilio_call_event":
            return twilio_rows.request_row(self, self.requests[report.number])
        if report.source == "twilio_call_summary":
            return summary.summary_row(self, report.number)
        told = self.insights[report.number]
        if self.planted is not None:
            told = told._replace(data={**told.data, **planted.insight(self.planted)})
        return told.row(self.id, self.account)

    def endpoint(self, source: str) -> str:
        """See SimulatedCall."""
        if source == "twilio_status_callback":
            return "/callbacks/twilio"
        if source == "twilio_insights_event":
            return f"/v1/Voice/{self.id}/Events"
        if source == "twilio_call_summary":
            return f"/v1/Voice/{self.id}/Summary"
        if source == "twilio_call":
            return f"/2010-04-01/Accounts/{self.account}/Calls/{self.id}.json"
        return f"/2010-04-01/Accounts/{self.account}/Calls/{self.id}/Events.json"

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """Attempts of one delivery share a token; the third delivery of an event is another one."""
        if report.source != "twilio_status_callback":
            return None
        return f"{self.nonce + 16 * report.number + attempt // 3:032x}"


def _callbacks(rng: random.Random, leg: CallLeg) -> list[StatusCallback]:
    """What the provider fires, numbered as it fires; one in eight has subscribed to the end only."""
    fired = []
    if not leg.queued and leg.direction != "inbound":
        fired.append(("initiated", leg.began_us))
    if leg.ringing_us is not None:
        fired.append(("ringing", leg.ringing_us))
    if leg.answered_us is not None:
        fired.append(("in-progress", leg.answered_us))
    fired.append((leg.ending.status, leg.ended_us))
    chance = rng.random()
    numbered = chance > 0.01
    sent = [StatusCallback(status, at, n if numbered else None) for n, (status, at) in enumerate(fired)]
    return sent[-1:] if chance > 0.875 else sent


def _rows(rng: random.Random, leg: CallLeg) -> list[CallVersion]:
    """The resource at the call's end, sometimes before it, and mostly once more when its price is known."""
    found = []
    chance = rng.random()
    if chance < 0.1 and not leg.queued:
        found.append(CallVersion("queued", leg.began_us + 400_000, priced=False))
    if chance < 0.2 and leg.answered_us is not None:
        stale_us = leg.ended_us + 200_000 if chance < 0.05 else (leg.answered_us + leg.ended_us) // 2
        found.append(CallVersion("in-progress", stale_us, priced=False))
    found.append(CallVersion(leg.ending.status, leg.ended_us + between_us(rng, 0.5, 2), priced=False))
    if chance > 0.4:
        found.append(CallVersion(leg.ending.status, leg.ended_us + PRICE_AFTER_US, priced=leg.talk_s > 0))
    return found


def _states(leg: CallLeg, time_factor: float) -> list[CallVersion]:
    """Every state of the resource, since when it is in it; the last one has the price of a talk."""
    found = [CallVersion("queued", leg.began_us, priced=False)]
    if leg.ringing_us is not None:
        found.append(CallVersion("ringing", leg.ringing_us, priced=False))
    if leg.answered_us is not None:
        found.append(CallVersion("in-progress", leg.answered_us, priced=False))
    found.append(CallVersion(leg.ending.status, leg.ended_us, priced=False))
    if leg.talk_s > 0:
        priced_us = leg.ended_us + delays.scaled_us(delays.PRICE_S, time_factor)
        found.append(CallVersion(leg.ending.status, priced_us, priced=True))
    return found


def _requests(rng: random.Random, call: TwilioCall, failing: float) -> list[LoggedRequest]:
    """The log of a call: the API request that made it, the fetch of its TwiML, its callbacks."""
    leg, found = call.leg, []
    status_url = STATUS_URL + "?tenant=7" if call.planted is None else call.planted.url

    def answer(good: int) -> tuple[int, int]:
        code = _FAILURES.pick(rng) if rng.random() < failing else good
        return code, 15_000 + rng.randrange(40) if code == TIMEOUT else 20 + rng.randrange(300)

    if leg.direction == "outbound-api":
        found.append(
            LoggedRequest(API_URL.format(account=call.account), None, "queued", leg.began_us, 201, 60)
        )
    if leg.direction != "outbound-dial" and (
        leg.answered_us or (leg.direction == "inbound" and leg.ringing_us)
    ):
        at_us = leg.answered_us if leg.direction == "outbound-api" else leg.ringing_us
        status = "in-progress" if leg.direction == "outbound-api" else "ringing"
        found.append(LoggedRequest(ANSWER_URL, None, status, at_us or leg.began_us, *answer(200)))
    for step, sent in enumerate(call.callbacks):
        found.append(LoggedRequest(status_url, step, sent.status, sent.at_us, *answer(204)))
    return found
