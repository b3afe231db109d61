"""The dashboard *Pipeline*: callstream itself, from the webhook to the output topics."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders import limits
from deploy.grafana.builders import pipeline_worker as worker
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.assembly import Question, assembled, data_source, provider
from deploy.grafana.builders.panels import (
    COUNT,
    PER_MINUTE,
    PER_SECOND,
    SECONDS,
    SHARE,
    AnyPanel,
    Query,
    firing_alerts,
    heat_map,
    lines,
    number,
    quantiles,
)

ALERTED = 'stage="alert_published"'


def pipeline() -> Dashboard:
    return assembled(
        "callstream-pipeline",
        "Pipeline",
        "Whether callstream receives, processes and publishes everything, and how fast.",
        [data_source(), provider()],
        [
            Question("Does callstream work now?", _now()),
            Question("Do webhooks arrive, and are they accepted?", _ingest()),
            Question("How long does an event take from the provider to the outputs?", _latency()),
            Question("Does the worker keep up?", worker.throughput()),
            Question("Is anything repeated, missing or unreadable?", worker.integrity()),
            Question("Does Kafka accept what is written?", worker.kafka()),
            Question("Do alerts reach those who want them?", _sinks()),
            Question("Do workers restart, and how long do they recover?", worker.recovery()),
            Question("Do the processes have enough CPU and memory?", worker.processes()),
        ],
    )


def _now() -> Sequence[AnyPanel]:
    return [
        number(
            "Webhooks received",
            "Webhook events acknowledged by Kafka, a second.",
            Query(q.per_second("webhook_events_received_total", q.SOURCE)),
            unit=PER_SECOND,
            limits=limits.PLAIN,
        ),
        number(
            "Webhooks refused",
            f"Share of the webhook requests within {q.WINDOW} that were not accepted.",
            Query(REFUSED_SHARE),
            unit=SHARE,
            limits=limits.REFUSED_SHARE,
        ),
        number(
            "Event to alert, p99",
            f"99 of 100 alerts within {q.WINDOW} were published sooner after their event, for pushed events.",
            Query(q.quantile(0.99, "event_latency_seconds", q.SOURCE, worker.PUSHED, ALERTED)),
            unit=SECONDS,
            limits=limits.LATE_ALERTS,
        ),
        number(
            "Oldest heartbeat",
            "Seconds since the last heartbeat of the stage that is furthest behind. It stands still with its "
            "partition.",
            Query(f"max({HEARTBEAT_AGE})"),
            unit=SECONDS,
            limits=limits.STALE_HEARTBEAT,
        ),
        number(
            "Lag",
            "Records that wait to be processed, in all topics.",
            Query(q.total("consumer_lag_messages")),
            unit=COUNT,
            limits=limits.LAG,
        ),
        number(
            "Workers running",
            "Workers in the state running.",
            Query(q.total("worker_state", 'state="running"')),
            unit=COUNT,
            limits=limits.RUNNING_WORKERS,
        ),
        number(
            "Dead letters",
            "Records of the last hour that could not be read or processed. They are in the dead-letter "
            "topic.",
            Query(q.increase("dead_letters_total", q.SOURCE, window="1h")),
            unit=COUNT,
            limits=limits.ANY,
        ),
        number(
            "Writes failed",
            "Messages of the last hour that Kafka did not accept.",
            Query(q.increase("produce_messages_total", 'outcome="error"', window="1h")),
            unit=COUNT,
            limits=limits.ANY,
        ),
        firing_alerts(),
    ]


REFUSED = q.increase("webhook_requests_rejected_total", q.SOURCE)
REFUSED_SHARE = q.ratio(REFUSED, f"({REFUSED} + {q.increase('webhook_events_received_total', q.SOURCE)})")
HEARTBEAT_AGE = f"time() - min by (stage) ({q.series('heartbeat_timestamp_seconds')})"


def _ingest() -> Sequence[AnyPanel]:
    return [
        lines(
            "Received, by source",
            "Webhook events acknowledged by Kafka. A fall to 0: run `callstream doctor`; are the webhooks' "
            "URLs set at the provider?",
            Query(
                f"{q.per_second('webhook_events_received_total', q.SOURCE, by='source')} > 0",
                "{{source}}",
            ),
            unit=PER_SECOND,
            stacked="normal",
            width=8,
        ),
        lines(
            "Refused, by reason",
            "Webhook requests not accepted. On bad_signature the gateway's log says what is wrong; check "
            "tokens and `CALLSTREAM_PUBLIC_URL`.",
            Query(q.per_minute("webhook_requests_rejected_total", q.SOURCE, by="reason"), "{{reason}}"),
            unit=PER_MINUTE,
            limits=limits.REFUSED_PER_MINUTE,
            width=8,
        ),
        lines(
            "Time to answer a webhook",
            f"Quantiles within {q.WINDOW}. The answer waits for Kafka. Providers give up after 15 s at most.",
            *quantiles("http_request_duration_seconds", 'route=~"/callbacks/.*"', by="route"),
            unit=SECONDS,
            limits=limits.TIME_TO_ANSWER,
            width=8,
        ),
        lines(
            "Requests, by status code",
            "All HTTP requests to the gateway; only codes that occurred. On 5xx: is Kafka reached?",
            Query(f"{q.per_second('http_requests_total', by='code')} > 0", "{{code}}"),
            unit=PER_SECOND,
            stacked="normal",
            width=8,
        ),
        lines(
            "Delivery delay p95, by source",
            f"Receive time minus the provider's event time, within {q.WINDOW}. If it rises, the provider "
            "delivers late or retries, or this machine's clock is wrong.",
            Query(
                q.quantile(0.95, "webhook_delivery_delay_seconds", q.SOURCE, by="source"),
                "{{source}}",
            ),
            unit=SECONDS,
            limits=limits.LATE_DELIVERIES,
            width=8,
        ),
        lines(
            "Ignored, unsigned, cut off",
            "Events about no call, which are ignored; events without a signature; connections that were cut; "
            "idempotency tokens that came with two contents. In production nothing should be unsigned.",
            Query(q.per_minute("webhook_events_ignored_total", by="reason"), "ignored {{reason}}"),
            Query(q.per_minute("webhook_unsigned_events_total", q.SOURCE), "unsigned"),
            Query(q.per_minute("http_connections_cut_total"), "connections cut"),
            Query(q.per_minute("webhook_tokens_reused_total"), "tokens reused"),
            unit=PER_MINUTE,
            width=8,
        ),
    ]


def _latency() -> Sequence[AnyPanel]:
    return [
        lines(
            "Event to each stage, p50 and p99",
            f"Since the provider's event time, for pushed events, within {q.WINDOW}. The first stage that is "
            "slow is the cause: the provider (received), the worker, Kafka.",
            *quantiles("event_latency_seconds", q.SOURCE, worker.PUSHED, by="stage"),
            unit=SECONDS,
            limits=limits.LATE_ALERTS,
        ),
        heat_map(
            "Event to alert",
            "Since the provider's event time, for events that opened an alert, from all sources.",
            q.buckets("event_latency_seconds", q.SOURCE, ALERTED),
            unit=SECONDS,
            width=12,
        ),
        lines(
            "Age of the heartbeat, by stage",
            "Every 5 s a heartbeat passes all stages of each partition. The first stale stage is the cause; "
            "`/readyz` and the log say why.",
            Query(HEARTBEAT_AGE, "{{stage}}"),
            unit=SECONDS,
            limits=limits.STALE_HEARTBEAT,
            width=6,
        ),
        lines(
            "Event to state, p95, by source",
            f"Until the call's state is visible, within {q.WINDOW}. Sources that are read later are late by "
            "nature: 90 s to 30 min.",
            Query(
                q.quantile(0.95, "event_latency_seconds", q.SOURCE, 'stage="state_visible"', by="source"),
                "{{source}}",
            ),
            unit=SECONDS,
            logarithmic=True,
            width=6,
        ),
        lines(
            "Callback to commit",
            f"From a callback's receipt at the gateway to the commit of its effects, within {q.WINDOW}.",
            *quantiles("callback_latency_seconds"),
            unit=SECONDS,
            logarithmic=True,
            width=6,
        ),
        lines(
            "Age of the newest event, by source",
            "Seconds since the last event of the source was processed. A source without events has no line.",
            Query(q.age("last_event_timestamp_seconds", q.SOURCE, by="source"), "{{source}}"),
            unit=SECONDS,
            width=6,
        ),
    ]


def _sinks() -> Sequence[AnyPanel]:
    return [
        lines(
            "Sinks that take alerts",
            "1 while `callstream notify` hands alerts to the sink, 0 since its last notification failed. The "
            "log of notify says why; nothing is lost.",
            Query(f"min by (sink) ({q.series('alert_sink_up')})", "{{sink}}"),
            unit=COUNT,
            limits=limits.SINK_UP,
            width=8,
        ),
        lines(
            "Notifications, by sink and outcome",
            "Each attempt counts; and the alerts in them, by result: facts about calls are collected, so a "
            "notification may hold hundreds.",
            Query(q.per_minute("alert_sink_requests_total", by="sink, outcome"), "{{sink}} {{outcome}}"),
            Query(q.per_minute("alert_sink_alerts_total", by="result"), "alerts {{result}}"),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Alerts that wait, by sink",
            "Read and not yet taken: being collected, held back by the route's limit, or the sink is down.",
            Query(q.total("alert_sink_waiting_alerts", by="sink"), "{{sink}}"),
            unit=COUNT,
            width=8,
        ),
    ]
