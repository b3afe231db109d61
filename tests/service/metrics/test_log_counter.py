"""Log records are counted by level."""

from __future__ import annotations

import logging

import pytest

from stream.service.metrics.label_values import LOG_LEVELS
from stream.service.metrics.worker import WorkerMetrics


@pytest.mark.parametrize(
    ("level", "counted"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (25, "info"),
        (logging.WARNING, "warning"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
    ],
)
def test_a_record_counts_at_its_level(metrics: WorkerMetrics, level: int, counted: str) -> None:
    metrics.log_counter.handle(logging.LogRecord("callstream", level, __file__, 1, "gone", None, None))

    counts = {level: metrics.value("log_messages_total", level=level) for level in LOG_LEVELS}
    assert {level for level, n in counts.items() if n} == {counted}
