"""The dashboard *Calls*: how much traffic there is, how it ends, why calls fail, how long they take."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders import call_failures, limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.assembly import Question, assembled, data_source, label, provider
from deploy.grafana.builders.panels import (
    CALLS_PER_MINUTE,
    COUNT,
    OUTCOMES,
    SECONDS,
    SHARE,
    AnyPanel,
    Query,
    firing_alerts,
    heat_map,
    lines,
    number,
)

BY_ACCOUNT, ACCOUNT_NAMES = "account, direction", "{{account}} {{direction}}"
BY_PROVIDER, PROVIDER_NAMES = "provider, direction", "{{provider}} {{direction}}"
RINGING, ANSWERED = 'phase="ringing"', 'phase="answered"'

INEFFECTIVE_CODES = "408|500|503|504"


def calls() -> Dashboard:
    return assembled(
        "callstream-calls",
        "Calls",
        "Traffic, outcomes and quality of calls, by account, provider and direction.",
        [
            data_source(),
            label("account", "Account", "calls_started_total"),
            provider(),
            label("direction", "Direction", "calls_started_total"),
        ],
        [
            Question("Is something wrong with calls now?", _now()),
            Question("How much traffic is there, and how does it end?", _traffic()),
            Question("Do calls reach people, and does the network carry them?", _effectiveness()),
            Question("Why do calls fail?", call_failures.failures()),
            Question(
                "How long does it take until it rings and is answered? How long do people talk?", _times()
            ),
            Question("Which calls hang, and about which do sources disagree?", call_failures.doubts()),
        ],
    )


def _now() -> Sequence[AnyPanel]:
    return [
        number(
            "Calls started",
            "Calls seen for the first time, a minute.",
            Query(q.per_minute("calls_started_total", q.CALL)),
            unit=CALLS_PER_MINUTE,
            limits=limits.PLAIN,
        ),
        number(
            "Active calls",
            "Calls that have not ended.",
            Query(q.total("calls_active", q.CALL)),
            unit=COUNT,
            limits=limits.PLAIN,
        ),
        number(
            "Failed",
            f"Share of the calls that ended in the last {q.WINDOW} and failed.",
            Query(q.ratio(q.ended("failed"), q.ended())),
            unit=SHARE,
            limits=limits.FAILED_CALLS,
        ),
        number(
            "ASR",
            f"Answer-seizure ratio (ITU-T E.411) of {q.WINDOW}: the share of calls that were answered. What "
            "is usual depends on the traffic: compare with yesterday.",
            Query(q.answered_share()),
            unit=SHARE,
            limits=limits.PLAIN,
        ),
        number(
            "NER",
            f"Network effectiveness ratio (ITU-T E.425) of {q.WINDOW}: the share of calls that the network "
            "carried, whether people answered or not.",
            Query(q.effective_share()),
            unit=SHARE,
            limits=limits.CARRIED_CALLS,
        ),
        number(
            "ACD",
            f"Average call duration of {q.WINDOW}: mean talk time of answered calls.",
            Query(q.mean("call_duration_seconds", q.DIRECTION)),
            unit=SECONDS,
            limits=limits.PLAIN,
        ),
        number(
            "PDD p95",
            f"Post-dial delay of {q.WINDOW}: 95 of 100 calls ring sooner than this after they were "
            "initiated.",
            Query(q.quantile(0.95, "call_setup_delay_seconds", q.DIRECTION, RINGING)),
            unit=SECONDS,
            limits=limits.POST_DIAL_DELAY,
        ),
        number(
            "Overdue calls",
            "Active calls older than the configured maximum, without an end.",
            Query(q.total("calls_overdue", q.PROVIDER)),
            unit=COUNT,
            limits=limits.ANY,
        ),
        firing_alerts(),
    ]


def _traffic() -> Sequence[AnyPanel]:
    return [
        lines(
            "Calls started, by account",
            "Calls seen for the first time. A fall to 0 in business hours: is the gateway reached?",
            Query(q.per_minute("calls_started_total", q.CALL, by=BY_ACCOUNT), ACCOUNT_NAMES),
            unit=CALLS_PER_MINUTE,
        ),
        lines(
            "Active calls, by account",
            "Calls that have not ended. Plan the capacity by it.",
            Query(q.total("calls_active", q.CALL, by=BY_ACCOUNT), ACCOUNT_NAMES),
            unit=COUNT,
        ),
        lines(
            "Calls ended, by outcome",
            "Calls that reached a terminal state.",
            Query(q.per_minute("calls_ended_total", q.CALL, by="outcome"), "{{outcome}}"),
            unit=CALLS_PER_MINUTE,
            colours=OUTCOMES,
            stacked="normal",
        ),
        lines(
            "Share of each outcome",
            f"Outcomes of the calls that ended within {q.WINDOW}. A share shows a change that traffic hides.",
            Query(q.increase("calls_ended_total", q.CALL, by="outcome"), "{{outcome}}"),
            unit=COUNT,
            colours=OUTCOMES,
            stacked="percent",
        ),
    ]


def _effectiveness() -> Sequence[AnyPanel]:
    return [
        lines(
            "ASR: answered",
            f"Answer-seizure ratio (ITU-T E.411) within {q.WINDOW}. If it falls and NER does not, people "
            "answer less: campaign, numbers called, flagged caller id.",
            Query(q.answered_share(BY_ACCOUNT), ACCOUNT_NAMES),
            unit=SHARE,
            most=1,
            width=8,
        ),
        lines(
            "NER: carried by the network",
            f"Network effectiveness ratio (ITU-T E.425) within {q.WINDOW}: answered, busy, no answer, "
            "canceled and rejected calls count as carried. If it falls, look at the carrier.",
            Query(q.effective_share(BY_ACCOUNT), ACCOUNT_NAMES),
            unit=SHARE,
            limits=limits.CARRIED_CALLS,
            most=1,
            width=8,
        ),
        lines(
            "Failed calls",
            f"Share of the calls that ended within {q.WINDOW} and failed.",
            Query(q.ratio(q.ended("failed", by=BY_ACCOUNT), q.ended(by=BY_ACCOUNT)), ACCOUNT_NAMES),
            unit=SHARE,
            limits=limits.FAILED_CALLS,
            width=8,
        ),
        lines(
            "SER: sessions established",
            f"Session establishment ratio (RFC 6076, 4.6) within {q.WINDOW}: final response 200, among all "
            "but redirections.",
            Query(q.response_share("200", BY_PROVIDER), PROVIDER_NAMES),
            unit=SHARE,
            most=1,
            width=8,
        ),
        lines(
            "SEER: sessions established or declined by a person",
            f"Session establishment effectiveness ratio (RFC 6076, 4.7) within {q.WINDOW}: also 480, 486, "
            "600 and 603, which a person or the device answers. If it falls, look at the network.",
            Query(q.response_share("200|480|486|600|603", BY_PROVIDER), PROVIDER_NAMES),
            unit=SHARE,
            most=1,
            width=8,
        ),
        lines(
            "ISA: ineffective attempts",
            f"Ineffective session attempts (RFC 6076, 4.8) within {q.WINDOW}: final response 408, 500, 503 "
            "or 504. They come from the carrier or the provider.",
            Query(q.response_share(INEFFECTIVE_CODES, BY_PROVIDER, redirected=True), PROVIDER_NAMES),
            unit=SHARE,
            limits=limits.INEFFECTIVE_ATTEMPTS,
            width=8,
        ),
    ]


def _times() -> Sequence[AnyPanel]:
    ringing = ("call_setup_delay_seconds", q.DIRECTION, RINGING)
    return [
        heat_map(
            "From initiated to ringing",
            "Post-dial delay (PDD). If it shifts upwards, a route or a carrier has changed.",
            q.buckets(*ringing),
            unit=SECONDS,
        ),
        heat_map(
            "From initiated to answered",
            "How long callers wait for an answer.",
            q.buckets("call_setup_delay_seconds", q.DIRECTION, ANSWERED),
            unit=SECONDS,
        ),
        heat_map(
            "Talk time",
            "How long answered calls last. Many short ones: silence or a false answer. Listen to one.",
            q.buckets("call_duration_seconds", q.DIRECTION),
            unit=SECONDS,
        ),
        lines(
            "PDD p50 and p95",
            f"Quantiles of the post-dial delay within {q.WINDOW}.",
            Query(q.quantile(0.5, *ringing, by="provider"), "p50 {{provider}}"),
            Query(q.quantile(0.95, *ringing, by="provider"), "p95 {{provider}}"),
            unit=SECONDS,
            limits=limits.POST_DIAL_DELAY,
            width=8,
        ),
        lines(
            "ACD: average call duration",
            f"Mean talk time of answered calls within {q.WINDOW}.",
            Query(q.mean("call_duration_seconds", q.DIRECTION, by=BY_PROVIDER), PROVIDER_NAMES),
            unit=SECONDS,
            width=8,
        ),
        lines(
            "Short calls",
            f"Share of answered calls of at most 10 s, within {q.WINDOW}.",
            Query(
                q.ratio(
                    q.increase("call_duration_seconds_bucket", q.DIRECTION, 'le="10.0"', by=BY_PROVIDER),
                    q.increase("call_duration_seconds_count", q.DIRECTION, by=BY_PROVIDER),
                ),
                PROVIDER_NAMES,
            ),
            unit=SHARE,
            limits=limits.SHORT_CALLS,
            most=1,
            width=8,
        ),
    ]
