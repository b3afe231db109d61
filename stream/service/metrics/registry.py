"""All series of one role, and their exposition: the only place that knows prometheus_client's registry."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    values,
)
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from stream.service.metrics.family import (
    BUILD_INFO,
    DEAD_LETTERS,
    LABEL_VALUES_CAPPED,
    LOG_MESSAGES,
    PREFIX,
    PRODUCE_DURATION,
    PRODUCE_MESSAGES,
    SHARED,
    Family,
)
from stream.service.metrics.label_values import (
    ACCOUNT,
    ENDPOINTS,
    ERROR_CODES,
    OTHER,
    PROVIDERS,
    RUNNING,
    SIP_CODES,
    UNKNOWN,
    WRITTEN,
    of_provider,
    spelled,
)
from stream.service.metrics.series.endpoint_names import EndpointNames
from stream.service.metrics.series.histogram import Buckets, Histogram, edges

# Whatever the environment says: with PROMETHEUS_MULTIPROC_DIR, counters would be files that outlive the
# process.
disable_created_metrics()  # type: ignore[no-untyped-call]
values.ValueClass = values.MutexValue

Labels = tuple[str, ...]
"""The values of a family's labels, in the family's order."""


class LabelChoice(NamedTuple):
    """What an installation has chosen of labels. Empty: the lists of `label_values`, the busiest endpoints.

    - `endpoints`: (pattern of a URL, name).
    - `accounts`: names by the provider's id; all others are `other`. Empty: all are the installation's alias.
    - `providers`: those whose series are there from the start.
    """

    endpoints: Sequence[tuple[str, str]] = ()
    error_codes: Sequence[str] = ()
    sip_codes: Sequence[str] = ()
    accounts: Mapping[str, str] = MappingProxyType({})
    providers: Sequence[str] = PROVIDERS


NO_CHOICE = LabelChoice()

_version = cache(version)


class MetricRegistry(Collector):
    """The series of a role's `families` and of SHARED, each label set that is known in advance at 0.

    The role's event loop writes and reads, but for the counter of log records, which any thread may write.
    `log_counter` goes to the root logger. For families with such labels are `account_alias` and `topics`, a
    topic's full name to its role, one of TOPICS. `written`: the roles of the topics that this role writes.
    """

    def __init__(
        self,
        families: Sequence[Family],
        account_alias: str = "",
        topics: Mapping[str, str] = MappingProxyType({}),
        choice: LabelChoice = NO_CHOICE,
        *,
        written: Sequence[str],
    ) -> None:
        self._account_alias = account_alias
        self._topics = topics
        self._endpoints = EndpointNames(choice.endpoints)
        self._accounts = choice.accounts
        self._left_out = {word for one in set(PROVIDERS) - {*choice.providers} for word in of_provider(one)}
        accounts = (*dict.fromkeys(choice.accounts.values()), OTHER) if choice.accounts else (account_alias,)
        self._listed: dict[Labels, Labels] = {
            RUNNING: (),
            ACCOUNT: accounts,
            ENDPOINTS: self._endpoints.known,
            WRITTEN: tuple(written),
        }
        if choice.error_codes:
            self._listed[ERROR_CODES] = (*choice.error_codes, OTHER)
        if choice.sip_codes:
            self._listed[SIP_CODES] = (*choice.sip_codes, OTHER)
        self._before_scrape: list[Callable[[], None]] = []
        self._metrics = {family: _metric(family) for family in (*families, *SHARED)}
        self._children = _Started(self._first_series)
        self.gauge(
            BUILD_INFO, _version("callstream"), platform.python_version(), _version("faust-streaming")
        ).set(1)
        self.log_counter = LogCounter(self)
        self._begins: dict[Family, dict[Labels, list[str]]] = {family: {} for family in self._metrics}
        self._of_process, self.registry = CollectorRegistry(), CollectorRegistry()
        self.registry.register(self)
        self.registry.register(self._of_process)
        for of_the_process in (ProcessCollector, PlatformCollector, GCCollector):
            of_the_process(registry=self._of_process)

    def _first_series(self, family: Family) -> dict[Labels, Any]:
        """The series of the label sets that are known in advance."""
        return {labels: self._new(family, labels) for labels in self._start(family)}

    def _start(self, family: Family) -> Sequence[Labels]:
        sets = family.start
        if sets is None:
            sets = tuple(product(*(self._listed.get(listed, listed) for listed in family.labels.values())))
        return [labels for labels in sets if not self._left_out.intersection(labels)]

    def _child(self, family: Family, labels: Labels) -> Any:
        """The series of one label set."""
        children = self._children[family]
        if labels not in children:
            children[labels] = self._new(family, labels)
        return children[labels]

    def _new(self, family: Family, labels: Labels) -> Any:
        metric = self._metrics[family]
        return metric.labels(*labels) if labels or isinstance(metric, Histogram) else metric

    def _series(self, family: Family, raw: tuple[Any, ...], n: int = 0) -> Any:
        """The series of raw values, which the guard admits unless they are a known label set as they are."""
        child = self._children[family].get(raw)
        if child is not None:
            return child
        labels = self.admit(family, raw, n)
        if labels not in self._children[family] and family.kind != "gauge":
            for beside in self._beside(family, labels):
                self._child(family, beside)
        return self._child(family, labels)

    def _beside(self, family: Family, labels: Labels) -> Iterator[Labels]:
        """The label sets of the same new value: all begin at 0, or the first failure of an endpoint is no
        increase."""
        kept = (RUNNING, ACCOUNT, ENDPOINTS, PROVIDERS)
        return product(
            *(
                (value,) if listed in kept else self._listed.get(listed, listed)
                for listed, value in zip(family.labels.values(), labels, strict=True)
            )
        )

    def admit(self, family: Family, raw: tuple[object, ...], n: int = 0) -> Labels:
        """The label set for these raw values.

        The cardinality guard: a value that is not in its label's list becomes `other`, which is counted n
        times. Only words from a list become label values, so ids, phone numbers and URLs never do.
        """
        listed = family.labels.items()
        return tuple(
            self._admit(label, words, one, n) for (label, words), one in zip(listed, raw, strict=True)
        )

    def _admit(self, label: str, listed: tuple[str, ...], value: object, n: int) -> str:
        if listed is RUNNING:
            return str(value)
        if listed is ACCOUNT:
            if not self._accounts:
                return self._account_alias
            name = self._accounts.get(str(value))
            if name is None and value is not None:
                self.count(LABEL_VALUES_CAPPED, label, n=n)
            return name or OTHER
        if listed is ENDPOINTS:
            word = self._endpoints.label(str(value), n) if value is not None else OTHER
            if word == OTHER and (value is None or self._endpoints.stays_other(str(value))):
                self.count(LABEL_VALUES_CAPPED, label, n=n)
            return word
        listed = self._listed.get(listed, listed)
        if value is not None:
            word = str(value)
            word = self._topics.get(word, word) if label == "topic" else spelled(label, word)
            if word in listed:
                return word
            self.count(LABEL_VALUES_CAPPED, label, n=n)
        return UNKNOWN if UNKNOWN in listed else OTHER

    def count(self, family: Family, *raw: Any, n: float = 1) -> None:
        self._series(family, raw, int(n)).inc(n)

    def gauge(self, family: Family, *raw: Any) -> Gauge:
        gauge: Gauge = self._series(family, raw)
        return gauge

    def histogram(self, family: Family, *raw: Any) -> Buckets:
        buckets: Buckets = self._series(family, raw)
        return buckets

    def gauges(self, family: Family) -> Mapping[Labels, Gauge]:
        """The gauges of a family by label set."""
        return self._children[family]

    def clear(self, family: Family) -> None:
        """Forget all label sets of a gauge."""
        metric = self._metrics[family]
        assert isinstance(metric, Gauge)
        self._children[family].clear()
        metric.clear()

    def dead_letter(self, source: str, reason: str) -> None:
        self.count(DEAD_LETTERS, source, reason)

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        """The broker has acknowledged records, or has not."""
        self.count(PRODUCE_MESSAGES, topic, "success" if ok else "error", n=records)
        self.histogram(PRODUCE_DURATION, topic).observe(seconds, records)

    def before_scrape(self, compute: Callable[[], None]) -> None:
        """Have gauges computed only when somebody looks."""
        self._before_scrape.append(compute)

    def collect(self) -> Iterator[Metric]:
        for compute in self._before_scrape:
            compute()
        for family, metric in self._metrics.items():
            self._children[family]
            yield from metric.collect()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape gets, and its content type: text, or OpenMetrics where `Accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        if encode is generate_latest:
            return self._text() + encode(self._of_process), content_type
        return encode(self.registry), content_type

    def _text(self) -> bytes:
        """What `generate_latest` makes of `collect`, in a tenth of its time, half of an idle worker's."""
        for compute in self._before_scrape:
            compute()
        lines: list[str] = []
        for family in self._metrics:
            children = self._children[family]
            name, begins = PREFIX + family.name, self._begins[family]
            lines.append(f"# HELP {name} {family.text}\n# TYPE {name} {family.kind}\n")
            for labels, child in children.items():
                if labels not in begins:
                    begins[labels] = _begins_of_lines(family, labels)
                values = child.exposed() if family.kind == "histogram" else (child._value.get(),)
                for begin, value in zip(begins[labels], values, strict=True):
                    lines.append(f"{begin} {floatToGoString(value) if value else '0.0'}\n")  # type: ignore[no-untyped-call]
        return "".join(lines).encode()


class _Started(dict[Family, dict[Labels, Any]]):
    """The series of each family, which begin when somebody first counts or looks: there are a thousand."""

    def __init__(self, first_series: Callable[[Family], dict[Labels, Any]]) -> None:
        super().__init__()
        self._first_series = first_series

    def __missing__(self, family: Family) -> dict[Labels, Any]:
        return self.setdefault(family, self._first_series(family))


class LogCounter(logging.Handler):
    """Counts log records by level: an ERROR that nobody reads is at least a number."""

    def __init__(self, metrics: MetricRegistry) -> None:
        super().__init__()
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        reached = (name for least, name in _LEVELS if record.levelno >= least)
        self._metrics.count(LOG_MESSAGES, next(reached, "debug"))


_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))


def _begins_of_lines(family: Family, labels: Labels) -> list[str]:
    """Names and labels of the samples of one label set, as they are written."""
    pairs = dict(zip(family.labels, labels, strict=True))
    if family.kind != "histogram":
        return [_series(family.name, pairs)]
    buckets = [_series(family.name + "_bucket", {**pairs, "le": edge}) for edge in edges(family)]
    return [*buckets, _series(family.name + "_count", pairs), _series(family.name + "_sum", pairs)]


def _series(name: str, pairs: Mapping[str, str]) -> str:
    escaped = {label: value.translate(_ESCAPED) for label, value in sorted(pairs.items())}
    said = ",".join(f'{label}="{value}"' for label, value in escaped.items())
    return f"{PREFIX}{name}{{{said}}}" if said else PREFIX + name


_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def _metric(family: Family) -> Counter | Gauge | Histogram:
    if family.kind == "histogram":
        return Histogram(family)
    kind = Counter if family.kind == "counter" else Gauge
    return kind(PREFIX + family.name, family.text, [*family.labels], registry=None)
