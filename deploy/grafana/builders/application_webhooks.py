"""The dashboard *Application webhooks*: what the application answers the provider, and how fast."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders import limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.assembly import Question, assembled, data_source, provider
from deploy.grafana.builders.panels import (
    CODE_CLASSES,
    COUNT,
    PER_MINUTE,
    SECONDS,
    SHARE,
    AnyPanel,
    Column,
    Query,
    heat_map,
    lines,
    number,
    quantiles,
    rows,
)

RESPONSES, DURATION = "app_webhook_responses_total", "app_webhook_duration_seconds"
TOO_MANY = limits.FAILED_ANSWERS.critical
BAD = 'code_class!~"2xx|3xx"'


def failed_share(by: str = "") -> str:
    return q.ratio(q.increase(RESPONSES, q.PROVIDER, BAD, by=by), q.increase(RESPONSES, q.PROVIDER, by=by))


def application_webhooks() -> Dashboard:
    return assembled(
        "callstream-application-webhooks",
        "Application webhooks",
        "What your application answers the provider. A failing answer ends or spoils a call.",
        [data_source(), provider()],
        [
            Question("Does the application answer now?", _now()),
            Question("Which endpoint fails or is slow?", _endpoints()),
            Question("What does the application answer?", _answers()),
            Question("How fast does it answer?", _durations()),
        ],
    )


def _now() -> Sequence[AnyPanel]:
    return [
        number(
            "Answers",
            "Requests of the provider to the application, a minute.",
            Query(q.per_minute(RESPONSES, q.PROVIDER)),
            unit=PER_MINUTE,
            limits=limits.PLAIN,
            width=6,
        ),
        number(
            "Failed answers",
            f"Share of 4xx, 5xx, timeouts and missing answers within {q.WINDOW}.",
            Query(failed_share()),
            unit=SHARE,
            limits=limits.FAILED_ANSWERS,
            width=6,
        ),
        number(
            "Failing endpoints",
            f"Endpoints of which more than {limits.FAILED_ANSWERS.critical:.0%} of the answers failed within "
            f"{q.WINDOW}.",
            Query(f"count({failed_share('provider, endpoint')} > {TOO_MANY}) or vector(0)"),
            unit=COUNT,
            limits=limits.ANY,
            width=6,
        ),
        number(
            "Duration p95",
            f"95 of 100 answers within {q.WINDOW} were faster. The provider gives up after 15 s.",
            Query(q.quantile(0.95, DURATION, q.PROVIDER)),
            unit=SECONDS,
            limits=limits.SLOW_ANSWERS,
            width=6,
        ),
    ]


def _endpoints() -> Sequence[AnyPanel]:
    by = "provider, endpoint"
    return [
        rows(
            "Endpoints",
            f"Answers of each endpoint within {q.WINDOW}. Names come from the settings, else host and path "
            "of the busiest endpoints.",
            Column(q.increase(RESPONSES, q.PROVIDER, by=by), "Answers", COUNT),
            Column(failed_share(by), "Failed", SHARE, limits.FAILED_ANSWERS),
            Column(
                q.quantile(0.95, DURATION, q.PROVIDER, by=by), "Duration p95", SECONDS, limits.SLOW_ANSWERS
            ),
            labels={"provider": "Provider", "endpoint": "Endpoint"},
        ),
        lines(
            "Failed answers, by endpoint",
            f"Share of 4xx, 5xx, timeouts and missing answers within {q.WINDOW}. Ask the endpoint's owner, "
            "beginning with the last deployment.",
            Query(failed_share("endpoint"), "{{endpoint}}"),
            unit=SHARE,
            limits=limits.FAILED_ANSWERS,
        ),
        lines(
            "Duration p95, by endpoint",
            f"95 of 100 answers within {q.WINDOW} were faster.",
            Query(q.quantile(0.95, DURATION, q.PROVIDER, by="endpoint"), "{{endpoint}}"),
            unit=SECONDS,
            limits=limits.SLOW_ANSWERS,
        ),
    ]


def _answers() -> Sequence[AnyPanel]:
    return [
        lines(
            "Answers, by class",
            "Answers by class of status code. `timeout`: the provider gave up. `none`: it had no answer, for "
            "example because the name does not resolve.",
            Query(q.per_minute(RESPONSES, q.PROVIDER, by="code_class"), "{{code_class}}"),
            unit=PER_MINUTE,
            colours=CODE_CLASSES,
            stacked="normal",
            width=8,
        ),
        lines(
            "Failed answers, by class and endpoint",
            "Only what occurred.",
            Query(
                f"{q.per_minute(RESPONSES, q.PROVIDER, BAD, by='endpoint, code_class')} > 0",
                "{{endpoint}} {{code_class}}",
            ),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Twilio's error log",
            "Entries of Twilio's error log by what they are about. `application`: your application failed. "
            "`callback`: a callback was not delivered. `own_url`: a request to callstream's gateway failed.",
            Query(q.per_minute("error_log_entries_total", by="about, level"), "{{about}} {{level}}"),
            unit=PER_MINUTE,
            width=8,
        ),
    ]


def _durations() -> Sequence[AnyPanel]:
    return [
        heat_map(
            "Duration of answers",
            "How long the application took. At 15 s the provider gives up.",
            q.buckets(DURATION, q.PROVIDER),
            unit=SECONDS,
            width=12,
        ),
        lines(
            "Duration p50, p95 and p99",
            f"Quantiles within {q.WINDOW}, all endpoints together.",
            *quantiles(DURATION, q.PROVIDER, by="provider", shares=(0.5, 0.95, 0.99)),
            unit=SECONDS,
            limits=limits.SLOW_ANSWERS,
        ),
    ]
