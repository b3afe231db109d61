"""A histogram whose observations come in bulk.

prometheus_client's own takes a lock and a call for each observation; a worker observes thousands at once, on
one thread. Counters and gauges are prometheus_client's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from stream.service.metrics.family import PREFIX, Family

FEW = 8
"""Fewer observations than this are placed one by one: a batch at ordinary load has few."""


class Buckets:
    """The observations of one label set: how many came into each bucket, and their sum.

    An observation is a duration in seconds. One below 0 counts as 0: a provider's clock may be ahead of ours,
    and a sum that decreases would read as a restart.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, n: int = 1) -> None:
        """The same duration, n times."""
        value = max(value, 0.0)
        self.counts[bisect_left(self._bounds, value)] += n
        self.sum += value * n

    def observe_many(self, values: Iterable[float]) -> None:
        """Any number of durations at once."""
        ascending = sorted(values)
        if len(ascending) < FEW:
            for value in ascending:
                self.observe(value)
            return
        self._place([bisect_right(ascending, bound) for bound in self._bounds], len(ascending))
        self.sum += sum(ascending[bisect_left(ascending, 0) :])

    def observe_since(self, now_us: int, ascending_us: Sequence[int]) -> None:
        """The time from each of these moments until now. Microseconds since 1970, in ascending order."""
        n = len(ascending_us)
        if n < FEW:
            for at_us in ascending_us:
                self.observe((now_us - at_us) / 1_000_000)
            return
        limits_us = [now_us - round(bound * 1_000_000) for bound in self._bounds]
        self._place([n - bisect_left(ascending_us, limit_us) for limit_us in limits_us], n)
        past = bisect_right(ascending_us, now_us)
        self.sum += (past * now_us - sum(ascending_us[:past])) / 1_000_000

    def exposed(self) -> list[float]:
        """The counts up to each bound, that of all, and the sum."""
        cumulative = list(accumulate(self.counts))
        return [*cumulative, cumulative[-1], self.sum]

    def _place(self, cumulative: list[int], total: int) -> None:
        below = 0
        for at, up_to in enumerate((*cumulative, total)):
            self.counts[at] += up_to - below
            below = up_to


def edges(family: Family) -> list[str]:
    """A bucket's `le` as prometheus_client writes it: rules match "10.0", not "10"."""
    return [floatToGoString(bound) for bound in (*family.bounds, float("inf"))]  # type: ignore[no-untyped-call]


class Histogram:
    """A family of them, with prometheus_client's `labels` and `collect`."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._edges = edges(family)
        self._children: dict[tuple[str, ...], Buckets] = {}

    def labels(self, *labels: str) -> Buckets:
        return self._children.setdefault(labels, Buckets(self._family.bounds))

    def collect(self) -> Iterator[Metric]:
        family = self._family
        metric = HistogramMetricFamily(PREFIX + family.name, family.text, labels=[*family.labels])
        for labels, buckets in self._children.items():
            cumulative = zip(self._edges, accumulate(buckets.counts), strict=True)
            metric.add_metric(labels, [*cumulative], buckets.sum)
        yield metric
