"""The dashboard *Archive and API*: what is kept, and who asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders import limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.assembly import Question, assembled, data_source
from deploy.grafana.builders.panels import (
    COUNT,
    PER_MINUTE,
    PER_SECOND,
    SECONDS,
    AnyPanel,
    Query,
    lines,
)


def archive_api() -> Dashboard:
    return assembled(
        "callstream-archive",
        "Archive and API",
        "What is kept of the calls, and whether questions about them are answered.",
        [data_source()],
        [
            Question("Is everything kept, and does the database take it?", _archive()),
            Question("Are questions answered, and in time?", _api()),
            Question("Who is refused, and who follows live?", _clients()),
        ],
    )


def _archive() -> Sequence[AnyPanel]:
    return [
        lines(
            "Rows written, by topic",
            "New or newer rows. A record that comes again writes none.",
            Query(q.per_second("archive_rows_written_total", by="topic"), "{{topic}}"),
            Query(q.per_second("archive_records_total", by="result"), "records {{result}}"),
            unit=PER_SECOND,
            width=8,
        ),
        lines(
            "Time of one transaction",
            "The median and the 99th percentile.",
            Query(q.quantile(0.5, "archive_write_duration_seconds"), "median"),
            Query(q.quantile(0.99, "archive_write_duration_seconds"), "p99"),
            unit=SECONDS,
            logarithmic=True,
            width=8,
        ),
        lines(
            "Failed transactions, by reason, and whether the database takes what is written",
            "Each is tried again. What is not written stays in Kafka.",
            Query(q.per_minute("archive_write_errors_total", by="reason"), "{{reason}}"),
            Query(f"min({q.series('archive_up')})", "up"),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Records that are not written yet, by topic",
            "It goes back to about 0 where the database takes what comes.",
            Query(q.total("archive_lag_messages", by="topic"), "{{topic}}"),
            unit=COUNT,
            width=6,
        ),
        lines(
            "Time since the last transaction",
            "It grows while nothing is written, and is empty where nothing was written since the start.",
            Query(f"time() - (max({q.series('archive_last_write_timestamp_seconds')}) > 0)", "last write"),
            unit=SECONDS,
            width=6,
        ),
        lines(
            "Rows deleted, by reason",
            "Older than the retention, or of a call that was forgotten.",
            Query(q.per_minute("archive_rows_removed_total", by="reason"), "{{reason}}"),
            unit=PER_MINUTE,
            width=6,
        ),
        lines(
            "Age of the oldest call",
            "A day more than the retention at most.",
            Query(f"time() - min({q.series('archive_oldest_timestamp_seconds')} > 0)", "oldest"),
            unit=SECONDS,
            width=6,
        ),
    ]


def _api() -> Sequence[AnyPanel]:
    return [
        lines(
            "API requests, by route and status",
            "503 means that the archive does not answer.",
            Query(q.per_second("api_requests_total", by="route, code"), "{{route}} {{code}}"),
            unit=PER_SECOND,
            width=8,
        ),
        lines(
            "Time to answer, by route",
            "The 99th percentile. Live streams are left out.",
            Query(q.quantile(0.99, "api_request_duration_seconds", by="route"), "{{route}}"),
            unit=SECONDS,
            limits=limits.SLOW_API,
            logarithmic=True,
            width=8,
        ),
        lines(
            "Reads of the archive, by outcome",
            "On timeout and error the database does not answer; on overloaded too many reads were waiting.",
            Query(q.per_second("api_archive_reads_total", by="outcome"), "{{outcome}}"),
            unit=PER_SECOND,
            width=8,
        ),
    ]


def _clients() -> Sequence[AnyPanel]:
    return [
        lines(
            "Requests refused for their token",
            "By reason: missing, unknown, of another account, no token configured, too many requests.",
            Query(q.per_minute("api_tokens_refused_total", by="reason"), "{{reason}}"),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Live subscribers",
            "Clients that follow calls live.",
            Query(q.total("api_live_subscribers"), "subscribers"),
            unit=COUNT,
            width=8,
        ),
        lines(
            "Live records and streams that ended",
            "Records read from Kafka for live streams, by kind; and streams that ended, by reason.",
            Query(q.per_minute("api_live_records_total", by="kind"), "{{kind}}"),
            Query(q.per_minute("api_live_ended_total", by="reason"), "ended: {{reason}}"),
            unit=PER_MINUTE,
            width=8,
        ),
    ]
