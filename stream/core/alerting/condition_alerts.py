"""The alert record of a condition: what is counted, of which scope, since when."""

from __future__ import annotations

from stream.core.alerting.alert import (
    RETRACTED,
    Alert,
    AlertReason,
    AlertSample,
    AlertScope,
    AlertWebhook,
    AlertWindow,
)
from stream.core.alerting.episodes import Episode, alert
from stream.core.alerting.help import help_for
from stream.core.alerting.rules import Rule
from stream.core.alerting.scopes import MINUTE_US, Condition, Scope, Trend
from stream.core.policy import CallPolicy
from stream.core.timestamps import utc

_WHAT = {
    "webhook.failing": "{bad} of {all} requests failed at {rest}",
    "webhook.slow": "{bad} of {all} requests were answered late at {rest}",
    "delivery.callback_missing": "{bad} of {all} callbacks to {rest} did not come",
    "calls.failing": "{bad} of {all} {calls} failed with {code}",
}
RESOLVED = {
    "quiet": "Nothing more has come: {what}",
    "recovered": "It is over: {what}",
    RETRACTED: "It was not so: {what}",
    "rule_disabled": "The rule is disabled: {what}",
}


def condition_alert(
    scope: Scope,
    name: str,
    one: Condition,
    rule: Rule,
    episode: Episode,
    trend: Trend,
    now_us: int,
    policy: CallPolicy,
    code: str,
) -> Alert:
    provider, kind, account, rest = scope.parts
    minute, bad, all_ = trend.window
    begin_us, end_us = (minute - rule.window_min + 1) * MINUTE_US, (minute + 1) * MINUTE_US
    sip, error = _codes(name) if kind == "failures" else (None, None)
    what = _WHAT[rule.id].format(
        bad=bad,
        all=all_ if trend.known else "an unknown number of",
        rest=rest,
        calls=f"{rest} calls" if rest else "calls",
        code=name.replace("-", " "),
    )
    what += (
        f" between {utc(begin_us)[11:19]} and {utc(end_us)[11:19]} UTC, since {utc(episode.starts_us)[:16]}Z."
    )
    about = (
        AlertScope("endpoint", scope.key)
        if kind == "endpoint"
        else AlertScope("failure", f"{scope.key}:{name}")
    )
    reason = AlertReason(
        code or name,
        RESOLVED[code].format(what=what) if code else what,
        help_for(rule.id, provider, sip, error),
        error,
        sip,
    )
    alias = policy.alias(account or None)
    made = alert(
        episode,
        rule,
        about,
        reason,
        now_us,
        provider=provider,
        account=account or None,
        account_alias=alias,
    )
    if kind == "endpoint":
        made.webhook = AlertWebhook(rest)
    made.window = AlertWindow(
        from_=utc(begin_us),
        to=utc(end_us),
        bad=bad,
        all=all_,
        share=round(bad / all_, 4) if all_ and trend.known else None,
        baseline=round(trend.baseline, 4) if trend.baseline is not None else None,
    )
    samples = scope.samples.get(one.bad) or scope.samples.get(one.early or "") or []
    made.samples = [AlertSample(key, utc(at_us), text) for at_us, key, text in samples]
    episode.shown = tuple(one.key for one in made.samples)
    made.links = policy.alert_rules.links(
        {
            # A call that shows it: one looks at an example first.
            "key": made.samples[-1].key if made.samples else None,
            "provider": provider,
            "account": account,
            "account_alias": alias,
            "rule": rule.id,
            "endpoint": rest if kind == "endpoint" else None,
            "twilio_error_code": error if provider == "twilio" else None,
        }
    )
    return made


def _codes(name: str) -> tuple[int | None, str | None]:
    """(SIP response code, provider's error code) of a counter of failures."""
    kind, _, code = name.partition("-")
    return (int(code) if kind == "sip" else None), (code if kind == "error" else None)
