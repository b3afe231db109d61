"""The metrics of one worker: tallies go in after their commit, an exposition comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import Tally
from stream.service.metrics.family import Family
from stream.service.metrics.label_values import TABLES, Vocabulary
from stream.service.metrics.lane_observer import LaneObserver
from stream.service.metrics.log_counter import LogCounter
from stream.service.metrics.partition_gauges import Standing, Standings
from stream.service.metrics.registry import Board


class Metrics:
    """What a worker counts. All calls from the event loop's thread.

    `observer` goes to the lanes, `log_counter` to the root logger, `exposition` to the health server.
    `clock` gives Unix seconds.
    """

    def __init__(self, vocabulary: Vocabulary, clock: Callable[[], float] = time.time) -> None:
        self.board = Board(vocabulary)
        self.observer = LaneObserver(self.board)
        self.log_counter = LogCounter(self.board)
        self._standings = Standings(self.board)
        self._clock = clock

    def opened(self, partition: int, standing: Standing) -> None:
        """A partition was assigned and recovered; this is what its table holds."""
        self._standings.open(partition, standing, self._clock())

    def closed(self, partition: int) -> None:
        """A partition was taken away."""
        self._standings.close(partition)

    def indexed(self, partition: int, due: int, troubled: int) -> None:
        """How many calls the index of what is due has, and on how many of them looks fail."""
        self._standings.index(partition, due, troubled)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape gets, and its content type."""
        return self.board.exposition(accept)

    def add(self, tally: Tally) -> None:
        """Apply what a batch counted. Called once, after its commit and after the table shows its states."""
        now_us = round(self._clock() * 1_000_000)
        self._add_stream(tally, now_us)
        self._add_latency(tally, now_us)
        self._add_calls(tally)
        self._count(f.APP_WEBHOOK_RESPONSES, tally.webhook_responses)
        self._observe(f.APP_WEBHOOK_DURATION, tally.webhook_duration_s)
        self._count(f.ALERTS_PUBLISHED, tally.alerts_published)
        self._add_fetches(tally, now_us)
        self._standings.move(tally)

    def _add_stream(self, tally: Tally, now_us: int) -> None:
        last_event = self.board.numbers(f.LAST_EVENT)
        for source, _ in tally.processed:
            last_event.set(self.board.admit(f.LAST_EVENT, source, n=0), now_us / 1_000_000)
        self._count(f.EVENTS_PROCESSED, tally.processed)
        self._count(f.EVENTS_DEDUPLICATED, tally.deduplicated)
        self._count_each(f.EVENTS_OUT_OF_ORDER, tally.out_of_order)
        self._count(f.DEAD_LETTERS, tally.dead_letters)
        self._count(f.PROCESSING_ERRORS, tally.errors)
        self._count_each(f.SEQUENCE_GAPS_DETECTED, tally.gaps_detected)
        self._count(f.SEQUENCE_GAPS_CLOSED, tally.gaps_closed)
        for reason, n in tally.evictions.items():
            self.board.count(f.TABLE_EVICTIONS, TABLES[0], reason, n=n)

    def _add_latency(self, tally: Tally, now_us: int) -> None:
        latency = self.board.buckets(f.EVENT_LATENCY)
        at = partial(self.board.admit, f.EVENT_LATENCY)
        for source, occurred_us in tally.occurred_us.items():
            occurred_us.sort()
            latency.observe_since(at(source, "processed"), tally.processed_us or now_us, occurred_us)
            latency.observe_since(at(source, "state_visible"), now_us, occurred_us)
        for source, delays_us in tally.received_after_us.items():
            latency.observe_many(at(source, "received"), [delay_us / 1_000_000 for delay_us in delays_us])
        for source, alerted_us in tally.alerted_us.items():
            latency.observe_since(at(source, "alert_published"), now_us, sorted(alerted_us))

    def _add_calls(self, tally: Tally) -> None:
        self._count(f.CALLS_STARTED, tally.calls_started)
        self._count(f.CALLS_ENDED, tally.calls_ended)
        self._count(f.CALL_FINAL_RESPONSES, tally.final_responses)
        self._observe(f.CALL_SETUP_DELAY, tally.setup_delay_s)
        self._observe(f.CALL_DURATION, tally.call_duration_s)
        self._count(f.CALL_INSIGHTS_EVENTS, tally.insights_events)
        self._count(f.CALL_ERRORS, tally.call_errors)
        self._count(f.CALL_STATE_CONFLICTS, tally.conflicts)

    def _add_fetches(self, tally: Tally, now_us: int) -> None:
        self._count(f.FETCHES_REQUESTED, tally.fetches_requested)
        self._count(f.FETCHES_ANSWERED, tally.fetches_answered)
        self._count(f.CALLBACKS_MISSING, tally.callbacks_missing)
        for (provider, result), n in tally.reconciled.items():
            self.board.count(f.RECONCILED_CALLS, provider, result, n=n)
            self.board.numbers(f.RECONCILIATION_LAST_SUCCESS).set((provider,), now_us / 1_000_000)

    def _count(self, family: Family, counts: Mapping[Any, int]) -> None:
        for raw, n in counts.items():
            self.board.count(family, *raw, n=n)

    def _count_each(self, family: Family, counts: Mapping[str, int]) -> None:
        for value, n in counts.items():
            self.board.count(family, value, n=n)

    def _observe(self, family: Family, durations: Mapping[Any, Sequence[float]]) -> None:
        buckets = self.board.buckets(family)
        for raw, values in durations.items():
            buckets.observe_many(self.board.admit(family, *raw, n=len(values)), values)
