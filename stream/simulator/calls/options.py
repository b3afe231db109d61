"""The options of a simulated run. Equal options give equal bytes."""

from __future__ import annotations

from dataclasses import dataclass

from stream.core import sources
from stream.core.sources import PUSHED_SOURCES

EVENT_STREAM = "twilio_event_stream"
CALLBACK_SOURCES = (*PUSHED_SOURCES, "twilio_debugger")
OPTIONAL_SOURCES = tuple(source for source in sources.CALLBACK_SOURCES if source not in CALLBACK_SOURCES)
"""Callbacks that are sent only in a run that names them."""

SENT_SOURCES = CALLBACK_SOURCES + OPTIONAL_SOURCES
ERROR_SOURCES = frozenset({"twilio_debugger", "twilio_alert", "twilio_notification"})
"""The sources that tell of nothing but the entries of Twilio's error log."""

SERVED_SOURCES = sources.POLLED_SOURCES
"""The sources that a served run's REST resources hold."""

POLLED_SOURCES = tuple(
    source for source in SERVED_SOURCES if source not in ("twilio_call_summary", "telnyx_webhook_delivery")
)
"""The sources whose rows a run without REST resources delivers itself."""

ALL_SOURCES = CALLBACK_SOURCES + POLLED_SOURCES
ALL_SERVED_SOURCES = CALLBACK_SOURCES + SERVED_SOURCES
KNOWN_SOURCES = ALL_SERVED_SOURCES + OPTIONAL_SOURCES

_SHARES = ("duplicates", "reorder", "drop", "late", "failed", "telnyx", "failing_webhooks", "errors")

LOOKBACK_S, SERVED_LOOKBACK_S = 3600, 600
LONGEST_TALK_S = 600


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many calls, how fast, and how badly the network treats their reports.

    - `calls`: number of call legs; None for endless calls. `seconds`: when an endless run stops, if ever.
    - `rate`: deliveries a second; 0 for as fast as Kafka takes them.
    - `duplicates`, `reorder`, `drop`, `late`: shares (0 to 1) of the callbacks that come twice, come after
      their successor, never come, or come only after the call's end. Polled rows are repeated as often
      (windows overlap) and never lost, because a poller retries.
    - `failed`: share of the calls that fail; `telnyx`: share of the calls that are Telnyx';
      `failing_webhooks`: share of the requests that the customer's application fails;
      `errors`: share of the calls that did not fail and still have an event of level ERROR;
      `webhook_delay_s`: how much longer the customer's application takes to answer Twilio.
    - `planted`: whether one call in sixteen holds personal data that must not leave (see `planted`).
    - `served`: polled rows are not delivered but served over REST (see `rest.provider_state`).
      `time_factor`: divides the providers' own delays until they appear.
    - `sources`: the sources to simulate; empty: all but OPTIONAL_SOURCES.
    - `twilio_account`, `telnyx_account`: the accounts of the calls; empty: accounts made up from the seed.
    - `start_us`: when the first delivery is received, microseconds since 1970.
    - `lookback_s`: how long before its delivery a finite run's calls took place; 0: an hour, in a served run
      ten minutes. An endless run is live.
    - `longest_talk_s`: how long anyone talks; 0: ten minutes, in a finite served run less.
    """

    calls: int | None = 1000
    seconds: float | None = None
    rate: float = 0.0
    duplicates: float = 0.0
    reorder: float = 0.0
    drop: float = 0.0
    late: float = 0.0
    failed: float = 0.05
    telnyx: float = 0.25
    failing_webhooks: float = 0.02
    errors: float = 0.02
    webhook_delay_s: float = 0.0
    planted: bool = True
    served: bool = False
    time_factor: float = 1.0
    sources: frozenset[str] = frozenset()
    twilio_account: str = ""
    telnyx_account: str = ""
    seed: int = 1
    start_us: int = 0
    lookback_s: int = 0
    longest_talk_s: int = 0

    def __post_init__(self) -> None:
        known = ALL_SERVED_SOURCES if self.served else ALL_SOURCES
        # These defaults depend on other fields.
        object.__setattr__(self, "sources", self.sources or frozenset(known))
        object.__setattr__(self, "lookback_s", self.lookback_s or self._lookback_s)
        object.__setattr__(self, "longest_talk_s", self.longest_talk_s or self._longest_talk_s)
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share: 0 to 1, not {getattr(self, name)}")
        if self.calls is not None and self.calls < 1:
            raise ValueError("calls must be at least 1")
        if self.calls is not None and self.seconds is not None:
            raise ValueError("either a number of calls or a number of seconds, not both")
        if self.rate < 0:
            raise ValueError("rate cannot be negative")
        if self.calls is None and self.rate == 0:
            raise ValueError("endless calls need a rate")
        if not self.time_factor > 0:
            raise ValueError("time_factor must be above 0")
        unknown = self.sources - {*known, *OPTIONAL_SOURCES}
        if unknown:
            some = ", ".join((*known, *OPTIONAL_SOURCES))
            raise ValueError(f"unknown sources {sorted(unknown)}: some of {some}")
        pushes = self.drop < 1 and self.sources & set(SENT_SOURCES)
        if self.served and self.live and self.seconds is None and not pushes:
            raise ValueError("an endless run without callbacks has nothing to keep its pace by")
        if self.served and not self.polled:
            raise ValueError(f"nothing to serve: some of {', '.join(SERVED_SOURCES)}")

    @property
    def live(self) -> bool:
        """The run is endless: calls take place while they are delivered."""
        return self.calls is None

    @property
    def everything(self) -> bool:
        """All sources are simulated, and with them what only several of them tell."""
        return self.sources.issuperset(OPTIONAL_SOURCES)

    @property
    def polled(self) -> frozenset[str]:
        """The sources whose rows a poller reads."""
        return self.sources - set(SENT_SOURCES)

    @property
    def _longest_talk_s(self) -> int:
        """The calls of a finite served run end before its first delivery, because a poller does not ask for
        times in the future.
        """
        short = self.served and not self.live
        return min(LONGEST_TALK_S, self.lookback_s // 5) if short else LONGEST_TALK_S

    @property
    def _lookback_s(self) -> int:
        return SERVED_LOOKBACK_S if self.served else LOOKBACK_S
