"""Panels of the dashboard *Calls* that say why calls fail, and which of them are in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.grafana.builders import limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.panels import (
    CALLS_PER_MINUTE,
    COUNT,
    LEVELS,
    PER_MINUTE,
    AnyPanel,
    Query,
    lines,
)

CODE_MEANING = (
    "What a code of Twilio means",
    "https://www.twilio.com/docs/api/errors/${__field.labels.error_code}",
)


def failures() -> Sequence[AnyPanel]:
    """Whose fault it was, and by which codes."""
    return [
        lines(
            "Whose fault it was",
            "Settled calls that did not succeed, by the verdict of their record. application: look at the "
            "last deployment. provider, carrier: retry, open a ticket. request: correct what was asked for.",
            Query(q.verdicts(), "{{fault}}"),
            unit=CALLS_PER_MINUTE,
            stacked="normal",
        ),
        lines(
            "Final SIP codes other than 200",
            "Calls by final SIP response code; only codes that occurred. 5xx and 6xx: ask the carrier. 404 "
            "and 484: check the numbers dialled.",
            Query(q.failed_responses(), "{{sip_code}}"),
            unit=CALLS_PER_MINUTE,
            stacked="normal",
        ),
        lines(
            "Error codes",
            "The provider's error codes on calls; only codes that occurred. Look a code up in the provider's "
            "error dictionary.",
            Query(q.error_codes(), "{{provider}} {{error_code}}"),
            unit=PER_MINUTE,
            stacked="normal",
            link=CODE_MEANING,
        ),
        lines(
            "Voice Insights errors and warnings, by edge",
            "Events of Twilio's Voice Insights. Many at sdk_edge: the client's network, microphone or "
            "version. Many at carrier_edge: the carrier.",
            Query(
                q.per_minute("call_insights_events_total", 'level=~"error|warning"', by="edge, level"),
                "{{edge}} {{level}}",
            ),
            unit=PER_MINUTE,
            limits=limits.INSIGHTS_ERRORS_PER_MINUTE,
        ),
        lines(
            "Voice Insights events, by level",
            "All events of Voice Insights, by level.",
            Query(q.per_minute("call_insights_events_total", by="level"), "{{level}}"),
            unit=PER_MINUTE,
            colours=LEVELS,
            logarithmic=True,
        ),
        lines(
            "Alert records written",
            "Alert records that callstream wrote, by rule. `callstream alerts --history` lists each with "
            "its call and reason.",
            Query(
                q.per_minute("alerts_published_total", 'state="firing"', by="rule, severity"),
                "{{rule}} {{severity}}",
            ),
            unit=PER_MINUTE,
        ),
        lines(
            "Conditions that hold, by rule",
            "Episodes about an endpoint of the application, or about many calls, that are firing. "
            "`callstream alerts --conditions` lists which; with `--json` also some of their calls.",
            Query(q.conditions(), "{{rule}} {{severity}}"),
            unit=COUNT,
            limits=limits.ANY,
            stacked="normal",
        ),
        lines(
            "Alerts that are firing, by rule",
            "All episodes that are firing. A fact about one call fires until it is corrected or the call "
            "settles, so it follows the traffic of the last hours.",
            Query(f"{q.total('alerts_active', by='rule, severity')} > 0", "{{rule}} {{severity}}"),
            unit=COUNT,
        ),
    ]


def doubts() -> Sequence[AnyPanel]:
    """Calls without an end, and conflicts between sources."""
    return [
        lines(
            "Overdue calls, by provider",
            "Active calls older than the configured maximum, without an end. A terminal callback was lost, "
            "or the call hangs: end it at the provider.",
            Query(q.total("calls_overdue", q.PROVIDER, by="provider"), "{{provider}}"),
            unit=COUNT,
            limits=limits.ANY,
        ),
        lines(
            "Conflicts between sources",
            "Sources that disagree about a field of one call. A few are usual; on many compare one call's "
            "events.",
            Query(
                q.per_minute("call_state_conflicts_total", q.PROVIDER, by="field"),
                "{{field}}",
            ),
            unit=PER_MINUTE,
        ),
    ]
