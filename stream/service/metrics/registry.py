"""All series of one role, and their exposition: the only place that knows prometheus_client's registry."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, disable_created_metrics, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from stream.service.metrics.cardinality_guard import CardinalityGuard
from stream.service.metrics.family import BUILD_INFO, LABEL_VALUES_CAPPED, LOG_MESSAGES, PREFIX, Family
from stream.service.metrics.histogram import Histogram, Labels
from stream.service.metrics.label_values import LabelValues

# Whatever the environment says: with PROMETHEUS_MULTIPROC_DIR, counters would be files that outlive the
# process.
disable_created_metrics()  # type: ignore[no-untyped-call]
values.ValueClass = values.MutexValue


class MetricRegistry(Collector):
    """The series of `families`, each label set that is known in advance at 0.

    The role's event loop writes and reads, but for the counter of log records, which any thread may write.
    `log_counter` goes to the root logger.
    """

    def __init__(self, label_values: LabelValues, families: Sequence[Family]) -> None:
        self._before_scrape: list[Callable[[], None]] = []
        self._metrics = {family: _metric(family) for family in families}
        capped = self._metrics[LABEL_VALUES_CAPPED]
        assert isinstance(capped, Counter)
        self._guard = CardinalityGuard(label_values, capped)
        self._children: dict[Family, dict[Labels, Any]] = {}
        for family in families:
            self._children[family] = {}
            for labels in self._start(family):
                self._child(family, labels)
        self.gauge(BUILD_INFO, *_versions()).set(1)
        self.log_counter = LogCounter(self)
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def _start(self, family: Family) -> Sequence[Labels]:
        if family.start is not None:
            return family.start
        return [*product(*(self._guard.values(label, listed) for label, listed in family.labels.items()))]

    def _child(self, family: Family, labels: Labels) -> Any:
        """The series of one label set."""
        children = self._children[family]
        child = children.get(labels)
        if child is None:
            metric = self._metrics[family]
            has_children = labels or isinstance(metric, Histogram)
            child = children[labels] = metric.labels(*labels) if has_children else metric
        return child

    def admit(self, family: Family, *raw: object, n: int = 1) -> Labels:
        """The label set that may be shown for these raw values; see `CardinalityGuard`."""
        return self._guard.admit(family, raw, n)

    def count(self, family: Family, *raw: Any, n: float = 1) -> None:
        """Add to a counter. The raw values pass the guard, unless they are a known label set as they are."""
        child = self._children[family].get(raw)
        if child is None:
            child = self._child(family, self._guard.admit(family, raw, int(n)))
        child.inc(n)

    def gauge(self, family: Family, *labels: str) -> Gauge:
        """The gauge of a label set, which is admitted already."""
        child: Gauge = self._child(family, labels)
        return child

    def gauges(self, family: Family) -> Mapping[Labels, Gauge]:
        """The gauges of a family by label set."""
        return self._children[family]

    def clear(self, family: Family) -> None:
        """Forget all label sets of a family."""
        metric = self._metrics[family]
        assert isinstance(metric, Gauge)
        metric.clear()
        self._children[family].clear()

    def histogram(self, family: Family) -> Histogram:
        metric = self._metrics[family]
        assert isinstance(metric, Histogram)
        return metric

    def value(self, name: str, **labels: str) -> float | None:
        """A sample as a scrape shows it, by its name without the prefix; None where there is none."""
        return self.registry.get_sample_value(PREFIX + name, labels)

    def before_scrape(self, compute: Callable[[], None]) -> None:
        """Have gauges computed only when somebody looks."""
        self._before_scrape.append(compute)

    def collect(self) -> Iterator[Metric]:
        for compute in self._before_scrape:
            compute()
        for metric in self._metrics.values():
            yield from metric.collect()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape gets, and its content type: text, or OpenMetrics where `Accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class LogCounter(logging.Handler):
    """A logging handler that writes nothing and counts: an ERROR that nobody reads is at least a number.

    Records above ERROR count as errors.
    """

    def __init__(self, metrics: MetricRegistry) -> None:
        super().__init__()
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        self._metrics.count(LOG_MESSAGES, _level(record.levelno))


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _metric(family: Family) -> Counter | Gauge | Histogram:
    if family.kind == "histogram":
        return Histogram(family)
    kind = Counter if family.kind == "counter" else Gauge
    return kind(PREFIX + family.name, family.text, [*family.labels], registry=None)


def _versions() -> Labels:
    return (_version("callstream"), platform.python_version(), _version("faust-streaming"))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
