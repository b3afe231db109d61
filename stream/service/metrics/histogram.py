"""A histogram whose observations come in bulk.

prometheus_client's own takes a lock and a call for each observation; a worker observes thousands at once, on
one thread. Counters and gauges are prometheus_client's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from stream.service.metrics.family import PREFIX, Family

Labels = tuple[str, ...]
"""The values of a family's labels, in the family's order."""

_FEW = 8
"""Up to this many observations are placed one by one. More are sorted first, which costs less for each."""


class Histogram:
    """For each label set the count of each bucket and the sum of what was observed.

    An observation is a duration in seconds. One below 0 counts as 0: a provider's clock may be ahead of ours,
    and a sum that decreases would read as a restart.
    """

    def __init__(self, family: Family) -> None:
        self.family = family
        self._bounds = family.bounds
        self._bounds_us = [round(bound * 1_000_000) for bound in family.bounds]
        self._edges = [*(_edge(bound) for bound in family.bounds), "+Inf"]
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def labels(self, *labels: str) -> list[int]:
        """Have a label set shown, with all counts at 0."""
        self._sums[labels] = 0.0
        counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
        return counts

    def observe(self, labels: Labels, value: float, n: int = 1) -> None:
        """The same duration, n times."""
        value = max(value, 0.0)
        counts = self._counts.get(labels) or self.labels(*labels)
        counts[bisect_left(self._bounds, value)] += n
        self._sums[labels] += value * n

    def observe_many(self, labels: Labels, values: Sequence[float]) -> None:
        """Any number of durations at once."""
        if len(values) <= _FEW:
            for value in values:
                self.observe(labels, value)
            return
        ascending = sorted(values)
        below_zero = bisect_left(ascending, 0)
        self._place(labels, [bisect_right(ascending, bound) for bound in self._bounds], len(ascending))
        self._sums[labels] += sum(ascending[below_zero:])

    def observe_since(self, labels: Labels, now_us: int, ascending_us: Sequence[int]) -> None:
        """The time from each of these moments until now. Microseconds since 1970, in ascending order."""
        n = len(ascending_us)
        self._place(labels, [n - bisect_left(ascending_us, now_us - bound) for bound in self._bounds_us], n)
        past = bisect_right(ascending_us, now_us)
        self._sums[labels] += (past * now_us - sum(ascending_us[:past])) / 1_000_000

    def _place(self, labels: Labels, cumulative: Iterable[int], total: int) -> None:
        counts = self._counts.get(labels) or self.labels(*labels)
        below = 0
        for at, up_to in enumerate(cumulative):
            if up_to != below:
                counts[at] += up_to - below
                below = up_to
        counts[-1] += total - below

    def collect(self) -> Iterator[Metric]:
        family = self.family
        name = PREFIX + family.name
        metric = Metric(name, family.text, family.kind)
        metric.samples = list(self._samples(name))
        yield metric

    def _samples(self, name: str) -> Iterator[Sample]:
        for labels, counts in list(self._counts.items()):
            named = dict(zip(self.family.labels, labels, strict=True))
            for edge, cumulative in zip(self._edges, accumulate(counts), strict=True):
                yield Sample(name + "_bucket", {**named, "le": edge}, cumulative)
            yield Sample(name + "_count", named, sum(counts))
            yield Sample(name + "_sum", named, self._sums[labels])


def _edge(bound: float) -> str:
    """A bucket's `le`, as prometheus_client writes it: rules match "10.0", not "10"."""
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # the library has no type for it
