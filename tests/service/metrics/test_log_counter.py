"""Log records are counted by level."""

from __future__ import annotations

import logging

import pytest

from stream.service.metrics import worker_families as f
from stream.service.metrics.worker import Metrics


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
def test_a_record_counts_at_its_level(metrics: Metrics, level: int, counted: str) -> None:
    metrics.log_counter.handle(logging.LogRecord("callstream", level, __file__, 1, "gone", None, None))

    counts = metrics.board.numbers(f.LOG_MESSAGES).by_labels
    assert {labels for labels, n in counts.items() if n} == {(counted,)}
