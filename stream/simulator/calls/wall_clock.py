"""The clock of the simulated providers."""

from __future__ import annotations

import time


def wall_us() -> int:
    """Now, in microseconds since 1970."""
    return time.time_ns() // 1000
