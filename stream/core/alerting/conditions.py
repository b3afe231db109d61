"""Conditions: what calls tell about a scope, counted in minutes of event time, and the episodes that follow.

Whether a condition holds is derived from the counts alone, minute by minute, so the order in which calls tell
does not matter. Counts are kept for HORIZON_MIN minutes, longer than a provider's log takes to tell; older
ones are folded into a `Trend`, and later reports of them are ignored.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from operator import itemgetter

import msgspec

from stream.core.alerting.alert import RETRACTED, Alert
from stream.core.alerting.condition_alerts import condition_alert
from stream.core.alerting.episodes import Episode
from stream.core.alerting.rules import Rule, Severity
from stream.core.alerting.scopes import (
    CODES,
    CONDITIONS,
    HALF_LIFE_MIN,
    HISTORY,
    HORIZON_MIN,
    IDLE_S,
    LATE_S,
    LONGEST_WINDOW_MIN,
    MINUTE_US,
    OTHER,
    SAMPLES,
    Condition,
    Scope,
    Told,
    Trend,
    conditions_of,
)
from stream.core.policy import CallPolicy
from stream.core.timestamps import SECOND_US

_GOOD = frozenset(one.all for kinds in CONDITIONS.values() for one in kinds)


MINUTES_OF_USUAL = 1 / (1 - 0.5 ** (1 / HALF_LIFE_MIN))
"""How many minutes' worth the usual counts are of, in a steady state."""


def take(scope: Scope | None, told: Told, policy: CallPolicy) -> tuple[Scope, list[Alert]]:
    """The scope with what a batch tells, and the alerts that follow. `scope` is changed."""
    scope = scope or Scope(0, 0, told.scope)
    scope.heard_us = max(scope.heard_us, told.heard_us)
    newest = max((scope.heard_us // MINUTE_US, *(minute for minute, _ in scope.minutes[-1:])))
    oldest = newest - HORIZON_MIN
    counts = dict(scope.minutes)
    for minute, counters in told.minutes.items():
        minute = min(minute, newest)  # a provider's clock may be ahead
        if minute < oldest:
            continue
        known = counts.setdefault(minute, {})
        for name, number in counters.items():
            if name not in _GOOD:
                if name not in scope.bad_us and len(scope.bad_us) >= CODES:
                    name = OTHER
                scope.bad_us[name] = max(scope.bad_us.get(name, 0), told.heard_us)
            known[name] = known.get(name, 0) + number
    for name, at_us, call_key, text in told.samples:
        kept = scope.samples.setdefault(name if name in scope.bad_us else OTHER, [])
        if (at_us, call_key, text) not in kept:
            insort(kept, (at_us, call_key, text))
            del kept[:-SAMPLES]
    scope.minutes = sorted(counts.items())
    alerts = _review(scope, told.heard_us, policy, is_late=_is_late(scope, told.heard_us))
    _forget(scope, oldest, policy)
    return scope, alerts


def tick(scope: Scope, now_us: int, policy: CallPolicy) -> tuple[Scope | None, list[Alert]]:
    """Apply the deadlines that have passed. The scope is None if it leaves the table."""
    firing = any(episode.firing for episode in scope.episodes.values())
    if firing and _is_late(scope, now_us):
        scope.resumed_us = now_us
    alerts = _review(scope, now_us, policy)
    firing = any(episode.firing for episode in scope.episodes.values())
    if not firing and now_us - scope.heard_us >= IDLE_S * SECOND_US:
        return None, alerts
    return scope, alerts


def forget_call(scope: Scope, key: str, now_us: int, policy: CallPolicy) -> list[Alert]:
    """Take a forgotten call out of the samples. What fires and shows it is written again without it."""
    for kept in scope.samples.values():
        kept[:] = [one for one in kept if one[1] != key]
    alerts: list[Alert] = []
    for name, one in conditions_of(scope):
        episode = scope.episodes.get(name)
        if episode is None or key not in episode.shown:
            continue
        episode.shown = tuple(shown for shown in episode.shown if shown != key)
        if episode.firing:
            rule = _rule_of(scope, one, policy)
            episode.revision += 1
            trend = trend_of(scope, name, one, rule)
            alerts.append(condition_alert(scope, name, one, rule, episode, trend, now_us, policy, ""))
    return alerts


# -- whether a condition holds


def trend_of(scope: Scope, name: str, one: Condition, rule: Rule) -> Trend:
    """How a condition stands after the newest minute."""
    trend = msgspec.structs.replace(scope.past.get(name, Trend()))
    after, width = scope.quiet.get(name), rule.window_min
    relevant = {one.bad, one.all, one.early}
    minutes = _minutes_after(scope, name)
    if after is not None and trend.minute is not None and trend.minute <= after and trend.opened is not None:
        trend.opened, trend.closed = None, after
    first = 0
    if trend.minute is not None:
        first = bisect_right(minutes, trend.minute - width, key=itemgetter(0))
    for at, (minute, counts) in enumerate(minutes):
        if (trend.minute is not None and minute <= trend.minute) or relevant.isdisjoint(counts):
            continue
        _age(trend, minute)
        while minutes[first][0] <= minute - width:
            left, some = minutes[first]
            first += 1
            # What was counted while it held is not usual.
            if trend.opened is None and (trend.closed is None or left >= trend.closed):
                trend.bad += some.get(one.bad, 0)
                trend.all += some.get(one.all, 0)
        window = [some for _, some in minutes[first : at + 1]]
        _step(trend, minute, window, one, rule)
    return trend


def _minutes_after(scope: Scope, name: str) -> list[tuple[int, dict[str, int]]]:
    """The minutes since a condition was over because nothing more came."""
    after = scope.quiet.get(name)
    return scope.minutes if after is None else [one for one in scope.minutes if one[0] > after]


def _age(trend: Trend, minute: int) -> None:
    """Halve what is usual every HALF_LIFE_MIN."""
    if trend.minute is not None:
        kept = 0.5 ** ((minute - trend.minute) / HALF_LIFE_MIN)
        trend.bad, trend.all = trend.bad * kept, trend.all * kept
    trend.minute = minute


def _step(trend: Trend, minute: int, window: list[dict[str, int]], one: Condition, rule: Rule) -> None:
    """One minute further. `window`: the counts of the minutes that end with it."""
    bad, all_, early = (sum(some.get(name or "", 0) for some in window) for name in one[1:])
    here, early_here = window[-1].get(one.bad, 0), window[-1].get(one.early or "", 0)
    known = True
    share = bad / all_ if all_ >= rule.least and bad >= rule.least else 0.0
    confirmed_share = share
    if early >= rule.least:
        if trend.all >= HISTORY:
            estimated = early / max(all_, trend.all * rule.window_min / MINUTES_OF_USUAL)
        else:
            # It may be so until enough good ones are known. The log of all answers tells later.
            estimated, known = early / max(all_, early), share >= rule.share
        share = max(share, min(1.0, estimated))
    threshold = trend.threshold if trend.opened is not None else _threshold(rule, trend)
    number = max(bad, early)
    trend.window = (minute, number, max(all_, number))
    if trend.opened is None and number >= rule.least and share >= threshold:
        trend.opened, trend.threshold = minute, threshold
        trend.count = number - max(here, early_here)
        trend.confirmed = False
        trend.baseline = trend.bad / trend.all if trend.all >= HISTORY else None
    elif trend.opened is not None and all_ >= rule.least and max(share, bad / all_) < threshold / 2:
        trend.opened, trend.closed = None, minute
    if trend.opened is not None:
        trend.count += max(here, early_here)
        trend.known = known
        trend.confirmed |= confirmed_share >= threshold


def _threshold(rule: Rule, trend: Trend) -> float:
    """The share from which the condition holds. Without a history only what is gross counts."""
    if rule.usual_times is None:
        return rule.share
    if trend.all < HISTORY:
        return min(1.0, rule.share * (rule.critical_times or 1.0))
    return max(rule.share, min(1.0, rule.usual_times * trend.bad / trend.all))


# -- episodes


def _is_late(scope: Scope, now_us: int) -> bool:
    """Whether the scope should have been looked at long before."""
    return now_us > (scope.due_s + LATE_S) * SECOND_US


def _review(scope: Scope, now_us: int, policy: CallPolicy, *, is_late: bool = False) -> list[Alert]:
    """Compare what holds with the episodes, and write what differs. Sets when to look again.

    `is_late`: nothing ends by quiet, the next tick sees to that.
    """
    alerts: list[Alert] = []
    at_us = max(now_us, scope.heard_us)  # a partition that is behind tells it after it was heard
    due_us = scope.heard_us + IDLE_S * SECOND_US
    for name, one in conditions_of(scope):
        rule = _rule_of(scope, one, policy)
        episode = scope.episodes.get(name)
        firing = episode is not None and episode.firing
        if not firing and not _may_hold(scope, name, one, rule):
            continue
        trend = trend_of(scope, name, one, rule)
        bad_us = max(scope.bad_us.get(one.bad, 0), scope.bad_us.get(one.early or "", 0))
        quiet_us = max(bad_us, scope.resumed_us if firing else 0) + int(rule.quiet_s * SECOND_US)
        is_quiet = now_us >= quiet_us and not (is_late and firing)
        if trend.opened is not None and rule.enabled and not is_quiet:
            due_us = min(due_us, quiet_us)
            if episode is None or (not firing and trend.opened * MINUTE_US > episode.starts_us):
                episode = scope.episodes[name] = Episode(
                    f"minute:{trend.opened}", trend.opened * MINUTE_US, at_us
                )
            severity = _severity(rule, trend)
            if episode.fire(severity, trend.count, confirmed=trend.confirmed):
                alerts.append(condition_alert(scope, name, one, rule, episode, trend, at_us, policy, ""))
        elif episode is not None and firing:
            if is_quiet and scope.minutes:
                scope.quiet[name] = scope.minutes[-1][0]
            ended_us = (trend.closed or 0) * MINUTE_US
            held = trend.opened is not None or ended_us > episode.starts_us
            if held:  # its end may be told together with what confirms it
                episode.confirmed |= trend.confirmed
                episode.occurrences = max(episode.occurrences, trend.count)
            episode.resolve()
            code = "recovered" if held or episode.confirmed else RETRACTED
            code = "quiet" if is_quiet else code if rule.enabled else "rule_disabled"
            alerts.append(condition_alert(scope, name, one, rule, episode, trend, at_us, policy, code))
    scope.due_s = -(-due_us // SECOND_US)
    return alerts


def _rule_of(scope: Scope, one: Condition, policy: CallPolicy) -> Rule:
    _, kind, account, rest = scope.parts
    return policy.alert_rules.rule(one.rule_id, account or None, rest if kind == "endpoint" else "")


def _may_hold(scope: Scope, name: str, one: Condition, rule: Rule) -> bool:
    """Whether the condition may have begun in any window: the usual answer is no, and it is had cheaply."""
    past = scope.past.get(name)
    if past is not None and past.opened is not None:
        return True
    minutes, width, least = _minutes_after(scope, name), rule.window_min, rule.least
    first = bad = early = all_ = 0
    for minute, counts in minutes:
        while minutes[first][0] <= minute - width:
            left = minutes[first][1]
            bad -= left.get(one.bad, 0)
            all_ -= left.get(one.all, 0)
            early -= left.get(one.early or "", 0)
            first += 1
        bad += counts.get(one.bad, 0)
        all_ += counts.get(one.all, 0)
        early += counts.get(one.early or "", 0)
        if early >= least or (bad >= least and (not all_ or bad / all_ >= rule.share)):
            return True
    return False


def _severity(rule: Rule, trend: Trend) -> Severity:
    _, bad, all_ = trend.window
    if not trend.known and rule.severity == "critical":
        return "warning"  # nobody is woken by a number without a share
    if rule.critical_times and all_ and bad / all_ >= min(1.0, rule.critical_times * trend.threshold):
        return "critical"
    return rule.severity


# -- what is forgotten


def _forget(scope: Scope, oldest: int, policy: CallPolicy) -> None:
    """Fold the minutes before the horizon into the trends, keeping those that their windows still need."""
    if not scope.minutes or scope.minutes[0][0] >= oldest - LONGEST_WINDOW_MIN - HALF_LIFE_MIN:
        return
    kept = scope.minutes
    scope.minutes = [one for one in kept if one[0] < oldest]
    for name, one in conditions_of(scope):
        rule = _rule_of(scope, one, policy)
        scope.past[name] = trend_of(scope, name, one, rule)
    scope.minutes = [one for one in kept if one[0] >= oldest - LONGEST_WINDOW_MIN]
    counted = {name for _, counts in scope.minutes for name in counts}
    for name in scope.bad_us.keys() - counted - {one.early for one in CONDITIONS["endpoint"]}:
        episode = scope.episodes.get(name)
        if scope.parts[1] == "failures" and (episode is None or not episode.firing):
            for kept_by_code in (scope.bad_us, scope.samples, scope.past, scope.quiet, scope.episodes):
                kept_by_code.pop(name, None)
