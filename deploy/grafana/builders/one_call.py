"""The dashboard *A call*: from an alert to its call, and whether other calls have the same.

Metrics have no call ids. The dashboard leads to the page of a call, and says how to read its records.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import TextBoxVariable
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders import limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.application_webhooks import failed_share
from deploy.grafana.builders.assembly import Question, assembled, data_source, label, provider
from deploy.grafana.builders.call_failures import CODE_MEANING
from deploy.grafana.builders.calls import (
    ACCOUNT_NAMES,
    BY_ACCOUNT,
    BY_PROVIDER,
    INEFFECTIVE_CODES,
    PROVIDER_NAMES,
)
from deploy.grafana.builders.panels import (
    CALLS_PER_MINUTE,
    COUNT,
    PER_MINUTE,
    SECONDS,
    SHARE,
    AnyPanel,
    Query,
    lines,
    words,
)
from deploy.grafana.builders.pipeline import ALERTED
from deploy.grafana.builders.pipeline_worker import PUSHED

STEPS = """\
Enter the call's id above: `scope.id` of its alert, or the provider's own id.

**[Open the call on the page](${page}/ui/calls/${call})**: its ladder, timeline and verdict. \
`Page` above is the address of the page, `CALLSTREAM_UI_URL`.

These commands print what callstream knows about it, numbers masked:

```
callstream call '${call}'
callstream tail alerts --from-beginning --no-follow | grep -F '${call}'
callstream tail ended --from-beginning --no-follow | grep -F '${call}'
callstream tail events --from-beginning --no-follow | grep -F '${call}'
callstream dead-letters list | grep -F '${call}'
```

The first one shows all of it in one timeline, the others the records themselves.
The alert says why.
The call record says how it ended, and which sources and gaps it has.
The events say what happened, step by step.
The dead letters are what could not be read.

The provider's console shows the call by its own id: \
[Twilio](https://console.twilio.com/), [Telnyx](https://portal.telnyx.com/).
What a code means: [Twilio's error codes](https://www.twilio.com/docs/api/errors), \
[Telnyx' error codes](https://developers.telnyx.com/docs/overview/errors).
"""


def one_call() -> Dashboard:
    return assembled(
        "callstream-call",
        "A call",
        "From an alert to its call: how to read everything about it, and whether other calls have the same.",
        [
            data_source(),
            TextBoxVariable("call").label("Call").default_value("twilio:CA"),
            TextBoxVariable("page").label("Page").default_value("http://127.0.0.1:8087"),
            label("account", "Account", "calls_started_total"),
            provider(),
            label("direction", "Direction", "calls_started_total"),
        ],
        [
            Question("What happened in this call?", _steps()),
            Question("Is it this call alone, or many at this time?", _others()),
            Question("Is the application or the network the cause?", _causes()),
            Question("Is everything known about calls of this time?", _knowledge()),
        ],
    )


def _steps() -> Sequence[AnyPanel]:
    return [words("Read the call", "How to read everything about one call.", STEPS, height=11)]


def _others() -> Sequence[AnyPanel]:
    return [
        lines(
            "Failed calls",
            f"Share of the calls that ended within {q.WINDOW} and failed. If it is as usual, this call is a "
            "single case.",
            Query(q.ratio(q.ended("failed", by=BY_ACCOUNT), q.ended(by=BY_ACCOUNT)), ACCOUNT_NAMES),
            unit=SHARE,
            limits=limits.FAILED_CALLS,
            width=8,
        ),
        lines(
            "Calls with the same SIP code",
            "Calls by final SIP response code other than 200; only codes that occurred. Find the call's "
            "`sip_response_code` here.",
            Query(q.failed_responses(), "{{sip_code}}"),
            unit=CALLS_PER_MINUTE,
            width=8,
        ),
        lines(
            "Calls with the same error code",
            "Error codes on calls; only codes that occurred. Find the call's `error_codes` here.",
            Query(q.error_codes(), "{{provider}} {{error_code}}"),
            unit=PER_MINUTE,
            link=CODE_MEANING,
            width=8,
        ),
    ]


def _causes() -> Sequence[AnyPanel]:
    return [
        lines(
            "Failed answers of the application, by endpoint",
            f"Share of 4xx, 5xx, timeouts and missing answers within {q.WINDOW}.",
            Query(failed_share("endpoint"), "{{endpoint}}"),
            unit=SHARE,
            limits=limits.FAILED_ANSWERS,
            width=8,
        ),
        lines(
            "ISA: ineffective attempts",
            f"Final responses 408, 500, 503 and 504 (RFC 6076, 4.8) within {q.WINDOW}: the carrier or the "
            "provider.",
            Query(q.response_share(INEFFECTIVE_CODES, BY_PROVIDER, redirected=True), PROVIDER_NAMES),
            unit=SHARE,
            limits=limits.INEFFECTIVE_ATTEMPTS,
            width=8,
        ),
        lines(
            "Alert records written",
            "Alert records of all calls, by rule.",
            Query(
                q.per_minute("alerts_published_total", 'state="firing"', by="rule, severity"),
                "{{rule}} {{severity}}",
            ),
            unit=PER_MINUTE,
            width=8,
        ),
    ]


def _knowledge() -> Sequence[AnyPanel]:
    return [
        lines(
            "Open sequence gaps",
            "Callbacks that are missing and may still come. Until then the call's record lists them in "
            "`gaps`.",
            Query(f"{q.total('sequence_gaps_open', q.SOURCE, by='source')} > 0", "{{source}}"),
            unit=COUNT,
            width=8,
        ),
        lines(
            "Pending reads, by source",
            "Reads of single calls that are scheduled and not done. A call's record is written again after "
            "each that has found something new.",
            Query(q.total("poll_pending_calls", q.SOURCE, by="source"), "{{source}}"),
            unit=COUNT,
            width=8,
        ),
        lines(
            "Event to alert, p99",
            f"How late alerts are after their event, for pushed events, within {q.WINDOW}.",
            Query(q.quantile(0.99, "event_latency_seconds", q.SOURCE, PUSHED, ALERTED), "p99"),
            unit=SECONDS,
            limits=limits.LATE_ALERTS,
            width=8,
        ),
    ]
