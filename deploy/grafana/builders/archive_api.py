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
            Question("Are questions answered, and in time?", _api()),
            Question("Who is refused, and who follows live?", _clients()),
        ],
    )


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
