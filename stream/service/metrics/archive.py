"""The metrics of `callstream archive`: what it has written, how long that takes, and whether it can."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stream.service.metrics.family import Family, counter, gauge, histogram
from stream.service.metrics.registry import NO_CHOICE, LabelChoice, MetricRegistry

KEPT = ("events", "ended", "alerts")
"""The topics that the archive keeps."""

REMOVED_BECAUSE = ("retention", "forgotten")

ARCHIVE_ROWS = counter(
    "archive_rows_written_total",
    "Rows of the archive that are new or newer, by topic. A record that comes again writes none.",
    "When it falls to 0 though events are published: see archive_up and the lag of its consumer group.",
    {"topic": KEPT},
)
ARCHIVE_RECORDS = counter(
    "archive_records_total",
    "Records that were read from a topic, and whether the archive could read them.",
    "On skipped: the log names the record; is the worker of a newer version?",
    {"topic": KEPT, "result": ("written", "skipped")},
)
ARCHIVE_WRITE_DURATION = histogram(
    "archive_write_duration_seconds",
    "Duration of one transaction of the archive.",
    "When it rises: look at the database's disk, and at queries that run for long.",
    bounds=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
ARCHIVE_ERRORS = counter(
    "archive_write_errors_total",
    "Transactions of the archive that failed: the database refused or did not answer, it was at another "
    "offset than its writer (fenced), or a topic was deleted and made again (recreated). Each is tried "
    "again.",
    "On database: does the database answer, is its disk full? On fenced: nothing, unless it goes on. On "
    "recreated: `callstream archive --rebuild`.",
    {"reason": ("database", "fenced", "recreated")},
)
ARCHIVE_UP = gauge(
    "archive_up",
    "1 while what is read is written, 0 since the last transaction failed, while one takes longer than a "
    "minute, or while a topic is another one.",
    "On 0: the log says why. What is not written stays in Kafka, and nothing is lost.",
)
ARCHIVE_LAST_WRITE = gauge(
    "archive_last_write_timestamp_seconds",
    "Unix time of the last transaction of the archive.",
    "When it is old though events are published: see archive_up.",
)
ARCHIVE_LAG = gauge(
    "archive_lag_messages",
    "Records in Kafka that are not in the database yet, of the partitions that this process has, by topic.",
    "When it keeps rising: does the database take what is written (archive_up), is it slow?",
    {"topic": KEPT},
)
ARCHIVE_REMOVED = counter(
    "archive_rows_removed_total",
    "Rows that were deleted, because they are older than the retention or of a call that was forgotten.",
    "When retention stays at 0 for days: see archive_oldest_timestamp_seconds.",
    {"reason": REMOVED_BECAUSE},
)
ARCHIVE_OLDEST = gauge(
    "archive_oldest_timestamp_seconds",
    "Unix time of the day of the oldest call in the archive; 0 while it is empty.",
    "When it is older than the retention and a day: the log says why nothing is deleted.",
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above; SHARED beside them."""

WRITTEN: tuple[str, ...] = ()


class ArchiveMetrics(MetricRegistry):
    """What `callstream archive` counts. All calls from the event loop's thread."""

    def __init__(
        self, topics: Mapping[str, str] = MappingProxyType({}), choice: LabelChoice = NO_CHOICE
    ) -> None:
        super().__init__(FAMILIES, topics=topics, choice=choice, written=WRITTEN)
        self.gauge(ARCHIVE_UP).set(1)

    def written(
        self, read: Mapping[str, int], skipped: Mapping[str, int], rows: Mapping[str, int], *, forgotten: int
    ) -> None:
        """A transaction is committed. Each by topic."""
        for topic in KEPT:
            self.count(ARCHIVE_RECORDS, topic, "written", n=read.get(topic, 0) - skipped.get(topic, 0))
            self.count(ARCHIVE_RECORDS, topic, "skipped", n=skipped.get(topic, 0))
            self.count(ARCHIVE_ROWS, topic, n=rows.get(topic, 0))
        self.removed("forgotten", forgotten)
        self.gauge(ARCHIVE_UP).set(1)

    def failed(self, reason: str) -> None:
        self.count(ARCHIVE_ERRORS, reason)
        if reason != "fenced":
            self.stands_still()

    def stands_still(self) -> None:
        self.gauge(ARCHIVE_UP).set(0)

    def goes_on(self) -> None:
        """What made nothing be written is over."""
        self.gauge(ARCHIVE_UP).set(1)

    def removed(self, reason: str, rows: int) -> None:
        self.count(ARCHIVE_REMOVED, reason, n=rows)

    def took(self, seconds: float, now_s: float) -> None:
        self.histogram(ARCHIVE_WRITE_DURATION).observe(seconds, 1)
        self.gauge(ARCHIVE_LAST_WRITE).set(now_s)

    def lag(self, records: Mapping[str, int]) -> None:
        for topic in KEPT:
            self.gauge(ARCHIVE_LAG, topic).set(records.get(topic, 0))

    def oldest(self, at_s: float) -> None:
        self.gauge(ARCHIVE_OLDEST).set(at_s)
