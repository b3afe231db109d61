"""All series of one role, and their exposition: the only place that knows prometheus_client's registry.

One thread writes and reads: the role's event loop. The counter of log records is the exception: its label
sets all exist from the start, and a handler has its own lock.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from stream.service.metrics import worker_families as f
from stream.service.metrics.cardinality_guard import Guard
from stream.service.metrics.family import Family
from stream.service.metrics.label_values import Vocabulary
from stream.service.metrics.series import Buckets, Labels, Numbers


class Board(Collector):
    """The series of `families`, which have the meta families among them.

    There are no `_created` series, whatever the environment says.
    """

    def __init__(self, vocabulary: Vocabulary, families: Sequence[Family] = f.FAMILIES) -> None:
        self._families = families
        capped = Numbers(f.LABEL_VALUES_CAPPED, [(label,) for label in f.LABEL_VALUES_CAPPED.labels["label"]])
        self._guard = Guard(vocabulary, capped)
        self._numbers: dict[str, Numbers] = {}
        self._buckets: dict[str, Buckets] = {}
        self._before_scrape: list[Callable[[], None]] = []
        for family in families:
            if family.kind == "histogram":
                self._buckets[family.name] = Buckets(family, self._start(family))
            else:
                self._numbers[family.name] = Numbers(family, self._start(family))
        self._numbers[f.LABEL_VALUES_CAPPED.name] = capped
        self._numbers[f.BUILD_INFO.name].set(_versions(), 1)
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def _start(self, family: Family) -> list[Labels]:
        if family.start is not None:
            return list(family.start)
        return list(product(*(self._guard.values(label, listed) for label, listed in family.labels.items())))

    def numbers(self, family: Family) -> Numbers:
        """The series of a counter or a gauge."""
        return self._numbers[family.name]

    def buckets(self, family: Family) -> Buckets:
        """The series of a histogram."""
        return self._buckets[family.name]

    def admit(self, family: Family, *raw: object, n: int = 1) -> Labels:
        """The label set that may be shown for these raw values; see `Guard`."""
        return self._guard.admit(family, raw, n)

    def count(self, family: Family, *raw: Any, n: int = 1) -> None:
        """Add to a counter; the raw values pass the guard unless they are a known label set as they are."""
        series = self._numbers[family.name]
        if raw in series.by_labels:
            series.by_labels[raw] += n
        else:
            series.add(self._guard.admit(family, raw, n), n)

    def before_scrape(self, compute: Callable[[], None]) -> None:
        """Have gauges computed only when somebody looks."""
        self._before_scrape.append(compute)

    def collect(self) -> Iterator[Metric]:
        for compute in self._before_scrape:
            compute()
        for family in self._families:
            series = self._buckets if family.kind == "histogram" else self._numbers
            yield series[family.name].metric()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape gets, and its content type: text, or OpenMetrics where `Accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


def _versions() -> Labels:
    return (_version("callstream"), platform.python_version(), _version("faust-streaming"))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
