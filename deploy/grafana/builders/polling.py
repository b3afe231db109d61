"""The dashboard *Polling and reconciliation*: what is read over REST, and what it proves about callbacks."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders import limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.assembly import Question, assembled, data_source, label, provider
from deploy.grafana.builders.panels import (
    ACCOUNT_STATES,
    CALLS_PER_MINUTE,
    COUNT,
    PER_MINUTE,
    PER_SECOND,
    SECONDS,
    SHARE,
    AnyPanel,
    Query,
    lines,
    number,
)

OWNED = 'state!="standby"'
WINDOW_SOURCE = f'{q.SOURCE}, account=~"$account"'


def throttled_share(by: str = "") -> str:
    return q.ratio(
        q.increase("poll_requests_total", q.SOURCE, 'outcome="throttled"', by=by),
        q.increase("poll_requests_total", q.SOURCE, by=by),
    )


def polling() -> Dashboard:
    return assembled(
        "callstream-polling",
        "Polling and reconciliation",
        "What the poller reads, how it keeps to the providers' limits, and which callbacks never came.",
        [data_source(), label("account", "Account", "poll_account_state"), provider()],
        [
            Question("Is everything read, and in time?", _now()),
            Question("Are the accounts readable, and does the budget suffice?", _budget()),
            Question("What do the providers answer?", _requests()),
            Question("How far has each source been read?", _progress()),
            Question("Which calls are read, and what comes of it?", _fetches()),
            Question("Which callbacks never came?", _audit()),
        ],
    )


def _now() -> Sequence[AnyPanel]:
    return [
        number(
            "Requests",
            "Requests to the providers, a second.",
            Query(q.per_second("poll_requests_total", q.SOURCE)),
            unit=PER_SECOND,
            limits=limits.PLAIN,
            width=4,
        ),
        number(
            "Throttled",
            f"Share of the requests within {q.WINDOW} that were answered with 429.",
            Query(throttled_share()),
            unit=SHARE,
            limits=limits.THROTTLED,
            width=4,
        ),
        number(
            "Oldest successful read",
            "Seconds since the source that was read least recently was read to its end.",
            Query(
                f"max({q.age('poll_last_success_timestamp_seconds', WINDOW_SOURCE, by='source, account')})"
            ),
            unit=SECONDS,
            limits=limits.STALE_READS,
            width=4,
        ),
        number(
            "Pending reads",
            "Reads of single calls that are scheduled and not done.",
            Query(q.total("poll_pending_calls", q.SOURCE)),
            unit=COUNT,
            limits=limits.PLAIN,
            width=4,
        ),
        number(
            "Missing callbacks",
            "Callbacks of the last hour that the provider's records prove and that never came.",
            Query(q.increase("callbacks_missing_total", q.SOURCE, window="1h")),
            unit=COUNT,
            limits=limits.MISSING_CALLBACKS,
            width=4,
        ),
        number(
            "Last reconciliation",
            "Seconds since a call was last compared across its sources.",
            Query(
                f"max({q.age('reconciliation_last_success_timestamp_seconds', q.PROVIDER, by='provider')})"
            ),
            unit=SECONDS,
            limits=limits.PLAIN,
            width=4,
        ),
    ]


def _budget() -> Sequence[AnyPanel]:
    return [
        lines(
            "State of the accounts",
            "One band an account. `throttled`: a pause after a 429. `refused`: correct the credentials. "
            "`unreachable`: check network and proxy.",
            Query(
                f"max by (account, provider, state) ({q.series('poll_account_state', q.ACCOUNT, OWNED)}) > 0",
                "{{provider}} {{account}} {{state}}",
            ),
            unit=COUNT,
            colours=ACCOUNT_STATES,
            stacked="normal",
            width=8,
        ),
        lines(
            "Budget: requests a second",
            "What the poller may send now, and what it sends. Below `CALLSTREAM_POLL_RATE` the provider has "
            "answered 429; the budget recovers by itself.",
            Query(
                q.total("poll_budget_requests_per_second", q.ACCOUNT, by="provider"), "{{provider}} budget"
            ),
            Query(q.per_second("poll_requests_total", q.SOURCE), "sent, all providers"),
            unit=PER_SECOND,
            width=8,
        ),
        lines(
            "Budget: concurrent requests",
            "What the poller may have under way, and what it has. At the budget for long: the provider is "
            "slow, or the concurrency too low.",
            Query(
                q.total("poll_budget_concurrent_requests", q.ACCOUNT, by="provider"), "{{provider}} budget"
            ),
            Query(q.total("poll_in_flight_requests", q.ACCOUNT, by="provider"), "{{provider}} under way"),
            unit=COUNT,
            width=8,
        ),
        lines(
            "Waiting requests, by priority",
            "Requests that wait for the budget. Where heal or terminal waits: raise the rate, or run "
            "backfills at night.",
            Query(q.total("poll_waiting_requests", q.ACCOUNT, by="priority"), "{{priority}}"),
            unit=COUNT,
        ),
        lines(
            "Time spent waiting",
            "Seconds that requests waited for the budget or after a 429, a second. 2 s means that two "
            "requests wait at any time.",
            Query(q.per_second("poll_throttle_wait_seconds_total", q.SOURCE, by="source"), "{{source}}"),
            unit=SECONDS,
        ),
    ]


def _requests() -> Sequence[AnyPanel]:
    return [
        lines(
            "Requests, by outcome",
            "On auth_error: check the credentials. On throttled: lower `CALLSTREAM_POLL_RATE`.",
            Query(q.per_second("poll_requests_total", q.SOURCE, by="outcome"), "{{outcome}}"),
            unit=PER_SECOND,
            stacked="normal",
            width=8,
        ),
        lines(
            "Throttled requests",
            f"Share of the requests within {q.WINDOW} that were answered with 429, by source.",
            Query(throttled_share("source"), "{{source}}"),
            unit=SHARE,
            limits=limits.THROTTLED,
            width=8,
        ),
        lines(
            "Duration of a request, p95",
            f"95 of 100 requests within {q.WINDOW} were faster.",
            Query(q.quantile(0.95, "poll_request_duration_seconds", q.SOURCE, by="source"), "{{source}}"),
            unit=SECONDS,
            limits=limits.SLOW_READS,
            width=8,
        ),
    ]


def _progress() -> Sequence[AnyPanel]:
    by, name = "source, account", "{{source}} {{account}}"
    return [
        lines(
            "Age of the last successful read",
            "Seconds since the source was read to its end. If it rises, the poller's log says what fails.",
            Query(q.age("poll_last_success_timestamp_seconds", WINDOW_SOURCE, by=by), name),
            unit=SECONDS,
            limits=limits.STALE_READS,
            width=8,
        ),
        lines(
            "Age of the watermark",
            "Everything older has been read completely. If it rises though reads succeed: raise the rate, or "
            "wait for a backfill to end.",
            Query(q.age("poll_watermark_timestamp_seconds", WINDOW_SOURCE, by=by), name),
            unit=SECONDS,
            limits=limits.OLD_WATERMARK,
            width=8,
        ),
        lines(
            "Records read",
            "Records before deduplication, a minute.",
            Query(q.per_minute("poll_records_total", q.SOURCE, by="source"), "{{source}}"),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Refused sources",
            "1 where the provider refuses this source to the account: see what the credentials may read, or "
            "leave it out of `CALLSTREAM_POLL_SOURCES`.",
            Query(f"max by ({by}) ({q.series('poll_forbidden_source', WINDOW_SOURCE)})", name),
            unit=COUNT,
            limits=limits.ANY,
        ),
        lines(
            "Records left out",
            "Records about no call, a minute: Telnyx lists the deliveries of messages too.",
            Query(q.per_minute("poll_records_left_out_total", q.SOURCE, by="source"), "{{source}}"),
            unit=PER_MINUTE,
        ),
    ]


def _fetches() -> Sequence[AnyPanel]:
    return [
        lines(
            "Reads asked for, by reason",
            "Reads of single calls that the worker asks of the poller. Many for gap or overdue: callbacks "
            "are lost.",
            Query(q.per_minute("fetches_requested_total", q.SOURCE, by="reason"), "{{reason}}"),
            unit=PER_MINUTE,
            stacked="normal",
            width=8,
        ),
        lines(
            "Reads answered, by outcome",
            "On auth_error or no_account: check the credentials. On deferred: raise the rate.",
            Query(q.per_minute("fetches_answered_total", q.SOURCE, by="outcome"), "{{outcome}}"),
            unit=PER_MINUTE,
            stacked="normal",
            width=8,
        ),
        lines(
            "Pending reads, by source",
            "Reads that are scheduled and not done. If it keeps rising, raise `CALLSTREAM_POLL_RATE` as far "
            "as the provider allows.",
            Query(q.total("poll_pending_calls", q.SOURCE, by="source"), "{{source}}"),
            unit=COUNT,
            width=8,
        ),
    ]


def _audit() -> Sequence[AnyPanel]:
    missed = q.increase(
        "reconciled_calls_total", q.PROVIDER, 'result="missing_callback"', by="provider", window="1h"
    )
    return [
        lines(
            "Compared calls, by result",
            "Calls whose sources were compared. `missing_callback`: is the status callback set for every "
            "number and call?",
            Query(q.per_minute("reconciled_calls_total", q.PROVIDER, by="result"), "{{result}}"),
            unit=CALLS_PER_MINUTE,
            stacked="normal",
            width=8,
        ),
        lines(
            "Calls with a missing callback",
            "Share of the calls compared within 1 h.",
            Query(
                q.ratio(missed, q.increase("reconciled_calls_total", q.PROVIDER, by="provider", window="1h")),
                "{{provider}}",
            ),
            unit=SHARE,
            limits=limits.MISSING_CALLBACKS_SHARE,
            width=8,
        ),
        lines(
            "Missing callbacks, by event",
            "Compare the provider's debugger with the requests that the gateway refused: DNS, firewall, TLS, "
            "signature.",
            Query(
                q.per_minute("callbacks_missing_total", q.SOURCE, by="source, event"), "{{source}} {{event}}"
            ),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Sent callbacks that did not come in time, by endpoint",
            "What became of callbacks that the provider's records say were sent. `refused_by_us`: see the "
            "gateway's refusals. `missing`: look between the provider and the gateway.",
            Query(
                q.per_minute(
                    "callbacks_audited_total", q.PROVIDER, 'result!="delivered"', by="endpoint, result"
                ),
                "{{endpoint}} {{result}}",
            ),
            unit=PER_MINUTE,
            width=24,
        ),
    ]
