"""What a simulation is asked for. Equal options give equal bytes."""

from __future__ import annotations

from dataclasses import dataclass

CALLBACK_SOURCES = ("twilio_status_callback", "telnyx_webhook")
POLLED_SOURCES = ("twilio_call", "twilio_call_event", "twilio_insights_event", "telnyx_call_event")
ALL_SOURCES = CALLBACK_SOURCES + POLLED_SOURCES


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many calls, how fast, and how badly the network treats them.

    - `calls`: how many call legs; None for calls without end. `seconds`: when such a run is cut off, if ever.
    - `rate`: deliveries a second; 0 for as fast as Kafka takes them.
    - `duplicates`, `reorder`, `drop`, `late`: shares (0 to 1) of the callbacks that come twice, come behind
      their successor, never come, or come only after the call's end. Polled rows are repeated as often
      (windows overlap) and never lost: a poller asks again.
    - `failed`: share of the calls that fail; `telnyx`: share of the calls that are Telnyx';
      `failing_webhooks`: share of the requests that the customer's application fails;
      `errors`: share of the calls that did not fail and still have an event of level ERROR.
    - `sources`: which of the six sources there are.
    - `twilio_account`: whose calls those of Twilio are; empty: an account that the seed makes up.
    - `start_us`: when the first delivery is received, microseconds since 1970.
    - `lookback_s`: how long before its delivery a finite run's calls took place. One without end is live.
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
    sources: frozenset[str] = frozenset(ALL_SOURCES)
    twilio_account: str = ""
    seed: int = 1
    start_us: int = 0
    lookback_s: int = 3600

    def __post_init__(self) -> None:
        for name in (
            "duplicates",
            "reorder",
            "drop",
            "late",
            "failed",
            "telnyx",
            "failing_webhooks",
            "errors",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share: 0 to 1, not {getattr(self, name)}")
        if self.calls is not None and self.calls < 1:
            raise ValueError("calls must be at least 1")
        if self.calls is not None and self.seconds is not None:
            raise ValueError("either a number of calls or a number of seconds, not both")
        if self.rate < 0:
            raise ValueError("rate cannot be negative")
        if self.calls is None and self.rate == 0:
            raise ValueError("calls without end need a rate")
        unknown = self.sources - set(ALL_SOURCES)
        if unknown or not self.sources:
            raise ValueError(f"unknown sources {sorted(unknown)}: some of {', '.join(ALL_SOURCES)}")

    @property
    def live(self) -> bool:
        """Calls take place while they are delivered: the run has a rate and no end."""
        return self.calls is None
