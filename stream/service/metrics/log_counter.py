"""Counts log records by level: an ERROR that nobody reads is at least a number that somebody sees."""

from __future__ import annotations

import logging

from stream.service.metrics import worker_families as f
from stream.service.metrics.registry import Board


class LogCounter(logging.Handler):
    """A logging handler that writes nothing. Records above ERROR count as errors."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._messages = board.numbers(f.LOG_MESSAGES)

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.add((_level(record.levelno),))


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
