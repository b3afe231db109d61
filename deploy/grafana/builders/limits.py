"""The limits of panels. Those that are also an alert rule's are read from the values of the rules."""

from __future__ import annotations

from typing import NamedTuple

from deploy.prometheus import render

VALUES = render.read_values()
"""Thresholds and windows of the alert rules, by their dotted names in values.toml."""


class Limits(NamedTuple):
    """From which values a panel turns yellow and red; with `below` under which, and both are needed."""

    warning: float | None = None
    critical: float | None = None
    below: bool = False


PLAIN = Limits()
"""No value is bad by itself."""

ANY = Limits(critical=1)
"""One is too many."""

ANY_PER_MINUTE = Limits(critical=0.001)
"""The same for rates, which begin above 0."""

FAILED_CALLS = Limits(VALUES["call_failure_ratio.warning"], VALUES["call_failure_ratio.critical"])
CARRIED_CALLS = Limits(0.95, 0.8, below=True)
INEFFECTIVE_ATTEMPTS = Limits(critical=VALUES["ineffective_attempts.share"])
POST_DIAL_DELAY = Limits(critical=VALUES["post_dial_delay.p95_s"])
SHORT_CALLS = Limits(critical=VALUES["short_calls.share"])
INSIGHTS_ERRORS_PER_MINUTE = Limits(critical=60 * VALUES["error_events.per_s"])

FAILED_ANSWERS = Limits(critical=VALUES["app_webhook_failing.share"])
SLOW_ANSWERS = Limits(critical=VALUES["app_webhook_slow.p95_s"])

REFUSED_PER_MINUTE = Limits(critical=60 * VALUES["signature_failures.per_s"])
REFUSED_SHARE = Limits(0.01, 0.05)
TIME_TO_ANSWER = Limits(1, 5)
LATE_ALERTS = Limits(critical=VALUES["alert_latency.p99_s"])
LATE_DELIVERIES = Limits(10, 60)
STALE_HEARTBEAT = Limits(critical=VALUES["heartbeat.age_s"])
LAG = Limits(critical=VALUES["consumer_lag.messages"])
DUPLICATES = Limits(critical=VALUES["duplicates.share"])
SINK_UP = Limits(1, 1, below=True)
RUNNING_WORKERS = Limits(1, 1, below=True)
SLOW_WRITES = Limits(0.5, 2)
REBALANCES = Limits(critical=VALUES["rebalances.count"])
LONG_REBALANCE = Limits(30, 60)
BUSY_CORE = Limits(0.8, 0.95)

SLOW_API = Limits(critical=VALUES["api_slow.p99_s"])

THROTTLED = Limits(critical=VALUES["poll_throttled.share"])
STALE_READS = Limits(critical=VALUES["poll_stale.age_s"])
OLD_WATERMARK = Limits(1800, 3600)
SLOW_READS = Limits(5, 10)
MISSING_CALLBACKS = Limits(critical=VALUES["callbacks_missing.min_calls"])
MISSING_CALLBACKS_SHARE = Limits(critical=VALUES["callbacks_missing.share"])
