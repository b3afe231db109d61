"""The sources: every kind of delivery that callstream reads, one line each.

This table is the only list of sources. What else depends on the set of them (settings, metrics, the poller's
resources, the simulator, the bits in a call's state) is derived from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple


class RetrySchedule(NamedTuple):
    """When a resource is read for one call, and which answer ends the reading.

    - `after_s`: seconds of each attempt after the call's end (or since the call is overdue), ascending.
    - `final`: an answer is final when the resource says that it is `complete`, when two successive answers
      are equal and not empty (`steady`), or when it has any rows (`some`). The last attempt is always final.
    - `priority`: one of `fetches.PRIORITIES`.
    """

    after_s: tuple[float, ...]
    final: Literal["complete", "steady", "some"]
    priority: str = "terminal"


class Source(NamedTuple):
    """One kind of delivery.

    - `name`: the `source` of its raw envelopes.
    - `family`: of its own events; None where each delivery has its own.
    - `polled`: a poller reads it, else the provider sends it.
    - `fetched`: when it is read on demand for one call that has ended; None: never.
    - `only_failures`: it reports only what went wrong. It is fetched only for calls that were not answered,
      and no call is incomplete without it.
    """

    name: str
    provider: Literal["twilio", "telnyx"]
    family: str | None
    polled: bool = False
    fetched: RetrySchedule | None = None
    only_failures: bool = False


TWILIO_STATUS_CALLBACK = "twilio_status_callback"
TWILIO_CALL = "twilio_call"
TWILIO_CALL_EVENT = "twilio_call_event"
TWILIO_INSIGHTS_EVENT = "twilio_insights_event"
TELNYX_WEBHOOK = "telnyx_webhook"
TELNYX_TEXML_CALLBACK = "telnyx_texml_callback"
TELNYX_CALL_EVENT = "telnyx_call_event"

_TABLE: tuple[Source, ...] = (
    Source(TWILIO_STATUS_CALLBACK, "twilio", "progress"),
    Source("twilio_recording_callback", "twilio", "recording"),
    Source("twilio_amd_callback", "twilio", "amd"),
    Source("twilio_conference_callback", "twilio", "conference"),
    Source("twilio_other_callback", "twilio", None),
    Source("twilio_event_stream", "twilio", None),
    # The status is there at once, the price minutes later.
    Source(TWILIO_CALL, "twilio", "resource", True, RetrySchedule((0, 30, 300, 1800), "complete", "heal")),
    # Available about 15 minutes after the end.
    Source(TWILIO_CALL_EVENT, "twilio", "request_log", True, RetrySchedule((900, 1200, 1800, 3600), "some")),
    # Visible after about 90 s, and not always all at once.
    Source(TWILIO_INSIGHTS_EVENT, "twilio", "insights", True, RetrySchedule((90, 180, 600, 1800), "steady")),
    # `partial` until about 30 minutes after the end.
    Source(
        "twilio_call_summary", "twilio", "resource", True, RetrySchedule((1800, 2700, 3600, 5400), "complete")
    ),
    Source(TELNYX_WEBHOOK, "telnyx", None),
    Source(TELNYX_TEXML_CALLBACK, "telnyx", None),
    # Telnyx tries to deliver a row's webhook for up to a minute.
    Source(TELNYX_CALL_EVENT, "telnyx", None, True, RetrySchedule((60, 300, 1800), "steady")),
    Source("telnyx_webhook_delivery", "telnyx", "delivery", True),
    # Twilio's log of errors and warnings: pushed, listed by time, and listed by call.
    Source("twilio_debugger", "twilio", "other", only_failures=True),
    Source("twilio_alert", "twilio", "other", True, only_failures=True),
    # An entry is there within seconds of its error, and corrected a few seconds later.
    Source("twilio_notification", "twilio", "other", True, RetrySchedule((60, 600), "some"), True),
)
"""In a fixed order. A call's state stores the position of a source here, and among FETCHED_SOURCES: new
sources go to the end.
"""

SOURCE_BY_NAME: dict[str, Source] = {source.name: source for source in _TABLE}
SOURCES: tuple[str, ...] = tuple(SOURCE_BY_NAME)
CALLBACK_SOURCES: tuple[str, ...] = tuple(source.name for source in _TABLE if not source.polled)
POLLED_SOURCES: tuple[str, ...] = tuple(source.name for source in _TABLE if source.polled)
RETRY_SCHEDULES: dict[str, RetrySchedule] = {
    source.name: source.fetched for source in _TABLE if source.fetched is not None
}
FETCHED_SOURCES: tuple[str, ...] = tuple(RETRY_SCHEDULES)


class Provider(NamedTuple):
    """Which of a provider's sources has which part.

    - `pushed`: sent for every step of every call.
    - `heals`: the resource that knows whether a call has ended.
    """

    pushed: str
    heals: str


PROVIDERS: dict[str, Provider] = {
    "twilio": Provider(TWILIO_STATUS_CALLBACK, TWILIO_CALL),
    "telnyx": Provider(TELNYX_WEBHOOK, TELNYX_CALL_EVENT),
}

PUSHED_SOURCES: tuple[str, ...] = tuple(provider.pushed for provider in PROVIDERS.values())

SOURCE_BIT: dict[str, int] = {source: 1 << position for position, source in enumerate(SOURCES)}
"""A set of sources as a bit mask, as a call's state keeps it."""

POLLED_BITS = sum(SOURCE_BIT[source] for source in POLLED_SOURCES)
REQUEST_LOG_BIT = SOURCE_BIT[TWILIO_CALL_EVENT]
"""The source that has every callback of a call that the provider sent."""
FAILURE_BITS = sum(SOURCE_BIT[source.name] for source in _TABLE if source.only_failures)
"""Sources whose silence says nothing about a call."""


class _Names(dict[int, list[str]]):
    def __missing__(self, bits: int) -> list[str]:
        self[bits] = names = sorted(source for source, bit in SOURCE_BIT.items() if bits & bit)
        return names


source_names: Callable[[int], list[str]] = _Names().__getitem__
"""The sources whose bits are set, sorted. The list is shared: do not change it."""
