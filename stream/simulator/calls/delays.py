"""How long the providers take until their REST resources have something.

The rule of this file: seconds as the providers say them; a run's time factor divides them. What is said of
the moment of an event itself (Telnyx' log, a resource that is eventually consistent) is as fast as ever.
"""

from __future__ import annotations

CONSISTENT_S = 0.2
"""Until Twilio's Calls resource shows what a callback has said already."""

LOGGED_S = 1.0
"""From an event to its row in Telnyx' `call_events`."""

INSIGHTS_S, INSIGHTS_LATE_S = 90.0, 150.0
PARTIAL_SUMMARY_S, SUMMARY_S = 300.0, 1800.0
PRICE_S = 600.0
REQUEST_LOG_S = 900.0
"""From a call's end, each."""

ALL_THERE_S = SUMMARY_S
"""From a call's end until nothing of it changes any more."""


def scaled_us(seconds: float, time_factor: float) -> int:
    """A delay in microseconds, so many times shorter."""
    return int(seconds * 1_000_000 / time_factor)
