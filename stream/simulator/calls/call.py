"""A simulated call as its provider reports it: what is sent, what can be read, and how late.

The delays are the providers' own; a run's time factor divides them. What appears at the moment of its event
(Telnyx' log, Twilio's alerts, an eventually consistent resource) is not made faster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from stream.simulator.calls.options import SENT_SOURCES, Options
from stream.simulator.calls.planted import planted_for
from stream.simulator.calls.scenario import CallLeg

CONSISTENT_S = 0.2
"""Until Twilio's Calls resource shows what a callback has said already."""

LOGGED_S = 1.0
"""From an event to its row in Telnyx' `call_events`."""

ALERT_S = 3.0
"""From an error to its row in Twilio's alerts and notifications."""

INSIGHTS_S, INSIGHTS_LATE_S = 90.0, 150.0
PARTIAL_SUMMARY_S, SUMMARY_S = 300.0, 1800.0
PRICE_S = 600.0
REQUEST_LOG_S = 900.0
"""Each from a call's end."""

ALL_THERE_S = SUMMARY_S
"""From a call's end until none of its rows changes any more."""


def scaled_us(seconds: float, time_factor: float) -> int:
    return int(seconds * 1_000_000 / time_factor)


class ProviderReport(NamedTuple):
    """One thing that a provider says of a call: a callback that it sends, or a row that a poller reads.

    - `number`: tells the reports of one source apart.
    - `at_us`: when it leaves the provider.
    - `ordinal`: its position among identical rows of one read; None for callbacks.
    """

    source: str
    number: int
    at_us: int
    ordinal: int | None = None


class SimulatedCall(ABC):
    """A call leg of either provider. Sets of reports hold (source, number).

    - `key`: the key of its Kafka records; `id`: the provider's id.
    - `planted`: the personal data planted in it; None for most calls.
    - `rivals`: the keys of the calls that were dialled together with it, if it was the one to be answered.
    - `delivered`: reports that were delivered; the expected outputs follow from them.
    - `maybe_delivered`: reports that may have been delivered; their provider gave up without knowing.
    """

    provider: str

    def __init__(self, id_: str, account: str, leg: CallLeg, options: Options) -> None:
        self.id = id_
        self.key = f"{self.provider}:{id_}"
        self.account = account
        self.leg = leg
        self.planted = planted_for(self.key) if options.planted else None
        self.rivals: tuple[str, ...] = ()
        self.delivered: set[tuple[str, int]] = set()
        self.maybe_delivered: set[tuple[str, int]] = set()

    @abstractmethod
    def reports(self) -> list[ProviderReport]:
        """All that the provider says of the call, callbacks first and in the order in which they are sent."""

    def readable(self) -> set[tuple[str, int]]:
        """Every row that can be read in the end, if the rows are served."""
        return set()

    def transient(self) -> set[tuple[str, int]]:
        """Rows that can be read only for a while, so that a poller may miss them."""
        return set()

    @abstractmethod
    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        """A report as it is written. `attempt` counts from 1 and changes what a repetition changes."""

    @abstractmethod
    def endpoint(self, source: str) -> str:
        """The path that a callback was sent to or a row was read from."""

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """The idempotency token of a delivery; None if the provider sends none."""
        return None


class ReportDelivery(NamedTuple):
    """A report that leaves its provider for the `attempt`-th time, from 1. `at_us`: when it should arrive."""

    call: SimulatedCall
    report: ProviderReport
    attempt: int
    at_us: int

    @property
    def pushed(self) -> bool:
        """A callback, not a row that a poller reads."""
        return self.report.source in SENT_SOURCES

    def arrived(self) -> None:
        """Its outputs are expected."""
        self.call.delivered.add((self.report.source, self.report.number))

    def may_have_arrived(self) -> None:
        """The provider gave up without knowing whether it arrived: its outputs are possible."""
        self.call.maybe_delivered.add((self.report.source, self.report.number))


class SourceRecord(NamedTuple):
    """A Kafka record of a source topic; `at_us` is the envelope's `received_at`."""

    topic: str
    key: bytes
    value: bytes
    at_us: int
