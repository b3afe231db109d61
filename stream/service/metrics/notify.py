"""The metrics of `callstream notify`: what is sent to the sinks, and whether they take it.

The names are the contract. A sink and a route are shown by their names in the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from stream.service.metrics import label_values as words
from stream.service.metrics.family import Family, counter, gauge
from stream.service.metrics.registry import NO_CHOICE, LabelChoice, MetricRegistry

SINK = {"sink": words.RUNNING}
REQUEST_OUTCOMES = ("success", "error")
ALERT_RESULTS = ("sent", "repeated", "dead_lettered")

ALERT_SINK_REQUESTS = counter(
    "alert_sink_requests_total",
    "Notifications handed to a sink, by route and outcome: a retry counts again.",
    "On errors: the log names the status or the error; is the sink reached, is its secret valid?",
    SINK | {"route": words.RUNNING, "outcome": REQUEST_OUTCOMES},
)
ALERT_SINK_ALERTS = counter(
    "alert_sink_alerts_total",
    "Alert records done for a sink: sent (in a notification), repeated (known already), dead_lettered "
    "(refused, or not taken for too long). Alertmanager is told what fires, and has none.",
    "On dead_lettered: list them with `callstream dead-letters list`; they were not announced.",
    SINK | {"result": ALERT_RESULTS},
)
ALERT_SINK_UP = gauge(
    "alert_sink_up",
    "1 while the sink takes notifications, 0 since its last one failed.",
    "On 0: the log says why. Alerts wait, and nothing is lost.",
    SINK,
)
ALERT_SINK_WAITING = gauge(
    "alert_sink_waiting_alerts",
    "Alert records that are read and wait for the sink.",
    "When it keeps rising: the sink is down, or its routes allow too few notifications a minute.",
    SINK,
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above; SHARED beside them."""

WRITTEN = ("dead_letters",)


class NotifyMetrics(MetricRegistry):
    """What `callstream notify` counts. All calls from the event loop's thread.

    `routes`: (sink, route), each of which begins at 0.
    """

    def __init__(
        self,
        routes: Iterable[tuple[str, str]],
        topics: Mapping[str, str] = MappingProxyType({}),
        choice: LabelChoice = NO_CHOICE,
    ) -> None:
        super().__init__(FAMILIES, topics=topics, choice=choice, written=WRITTEN)
        for sink, route in routes:
            for outcome in REQUEST_OUTCOMES:
                self.count(ALERT_SINK_REQUESTS, sink, route, outcome, n=0)
            for result in ALERT_RESULTS:
                self.count(ALERT_SINK_ALERTS, sink, result, n=0)
            self.gauge(ALERT_SINK_UP, sink).set(1)
            self.waiting(sink, 0)

    def requested(self, sink: str, route: str, *, ok: bool, refused: bool = False) -> None:
        """A sink has answered, or has not. `refused`: it will not take this one, but others."""
        self.count(ALERT_SINK_REQUESTS, sink, route, REQUEST_OUTCOMES[not ok])
        self.gauge(ALERT_SINK_UP, sink).set(ok or refused)

    def nothing_waits(self, sink: str) -> None:
        """What waited for a sink is another process's now: that one says whether the sink takes it."""
        self.gauge(ALERT_SINK_UP, sink).set(1)
        self.waiting(sink, 0)

    def alerts(self, sink: str, result: str, number: int = 1) -> None:
        self.count(ALERT_SINK_ALERTS, sink, result, n=number)

    def waiting(self, sink: str, number: int) -> None:
        self.gauge(ALERT_SINK_WAITING, sink).set(number)
