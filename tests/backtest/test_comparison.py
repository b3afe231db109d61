"""Which alerts of two sets of rules are the same, and which only one of them raises."""

from __future__ import annotations

from typing import Any

from stream.backtest.comparison import EXAMPLES, OVER_S, AlertComparison, RaisedEpisode
from stream.core.alerting.alert import Alert, AlertReason, AlertRule, AlertSample, AlertScope
from stream.core.timestamps import SECOND_US, utc
from tests.core.deliveries import START_US, at

ENDPOINT = "twilio:endpoint:AC1:https://app.example.com/voice"
DAY = 86_400


def alert(
    episode: str, *, starts: float, seen: float | None = None, ends: float | None = None, **more: Any
) -> Alert:
    """One revision of an alert about an endpoint, `seen` when it was detected."""
    detected = starts if seen is None else seen
    return Alert(
        **{
            "id": f"{episode}-{ends}",
            "fingerprint": "endpoint",
            "episode_id": episode,
            "revision": 1 if ends is None else 2,
            "state": "firing" if ends is None else "resolved",
            "severity": "critical",
            "rule": AlertRule("webhook.failing", 1),
            "provider": "twilio",
            "account": "AC1",
            "account_alias": "main",
            "scope": AlertScope("endpoint", ENDPOINT),
            "starts_at": at(starts),
            "ends_at": None if ends is None else at(ends),
            "detected_at": at(detected),
            "updated_at": at(detected if ends is None else ends),
            "confidence": "confirmed",
            "reason": AlertReason("webhook.failing", f"{episode} fails" if ends is None else "It is over."),
            "samples": [AlertSample("twilio:CA1", at(starts), "answered 502")],
            **more,
        }
    )


def compared(current: list[Alert], candidate: list[Alert], since: float = 0) -> AlertComparison:
    found = AlertComparison(START_US + round(since * SECOND_US))
    for one in current:
        found.take("current", one)
    for one in candidate:
        found.take("candidate", one)
    found.settle(START_US, everything=True)
    return found


def changes(found: AlertComparison) -> dict[str, int]:
    return {change: number for (_, change), number in found.changes.items() if number}


def test_the_same_episodes_are_no_change() -> None:
    episode = [alert("a", starts=60), alert("a", starts=60, ends=600)]
    found = compared(episode, episode)
    assert (changes(found), dict(found.examples)) == ({"same": 1}, {("webhook.failing", "same"): []})
    assert found.counts["current"] == found.counts["candidate"]
    assert found.counts["current"].alerts == {("webhook.failing", "critical"): 1}
    assert found.counts["current"].scopes == {ENDPOINT: 1}


def test_what_only_one_side_raises_is_added_or_removed_with_what_was_said_while_it_fired() -> None:
    episode = [alert("a", starts=60), alert("a", starts=60, ends=600)]
    assert changes(compared(episode, [])) == {"removed": 1}
    found = compared([], episode)
    assert changes(found) == {"added": 1}
    ((difference,),) = found.examples.values()
    assert difference.current is None
    assert difference.candidate == RaisedEpisode(
        id="a",
        fingerprint="endpoint",
        rule="webhook.failing",
        scope=ENDPOINT,
        account="main",
        severity="critical",
        starts_us=START_US + 60 * SECOND_US,
        detected_us=START_US + 60 * SECOND_US,
        updated_us=START_US + 600 * SECOND_US,
        ends_us=START_US + 600 * SECOND_US,
        critical_us=START_US + 60 * SECOND_US,
        reason="a fails",
        calls=["twilio:CA1"],
    )


def test_an_outage_that_is_seen_sooner_is_one_change_and_not_two() -> None:
    """Its episode has another id, because it begins in another minute."""
    later = [alert("later", starts=180), alert("later", starts=180, ends=900)]
    sooner = [alert("sooner", starts=60), alert("sooner", starts=60, ends=900)]
    assert changes(compared(later, sooner)) == {"changed": 1}
    assert changes(compared(later, [alert("early", starts=0), alert("early", starts=0, ends=90)])) == {
        "removed": 1,
        "added": 1,
    }


def test_one_that_ends_and_begins_again_meanwhile_has_one_alert_more() -> None:
    long = [alert("long", starts=60), alert("long", starts=60, ends=900)]
    twice = [
        *(alert("long", starts=60), alert("long", starts=60, ends=300)),
        *(alert("again", starts=400), alert("again", starts=400, ends=900)),
    ]
    assert changes(compared(long, twice)) == {"same": 1, "added": 1}
    assert changes(compared(twice, long)) == {"same": 1, "removed": 1}


def test_another_severity_is_a_change_and_pages_are_counted_by_the_day_they_become_critical() -> None:
    before_midnight = 14 * 3600 - 60
    warning = [alert("a", starts=before_midnight, severity="warning")]
    critical = [*warning, alert("a", starts=before_midnight, updated_at=at(before_midnight + 120))]
    found = compared(warning, critical)
    assert changes(found) == {"changed": 1}
    day = START_US // (DAY * SECOND_US)
    assert (dict(found.counts["current"].pages), dict(found.counts["candidate"].pages)) == ({}, {day + 1: 1})


def test_what_began_before_the_time_that_is_asked_for_is_not_counted() -> None:
    before = [alert("a", starts=60)]
    found = compared(before, [alert("a", starts=60), alert("b", starts=5000)], since=3600)
    assert changes(found) == {"added": 1}
    assert compared(before, [], since=3600).counts["current"].alerts == {}
    assert changes(compared(before, [alert("a", starts=60, seen=5000)], since=3600)) == {}


def test_alerts_about_calls_make_noise_in_their_account() -> None:
    scope = AlertScope("call", "twilio:CA1")
    found = compared([alert("a", starts=60, scope=scope, rule=AlertRule("call.short", 1))], [])
    assert found.counts["current"].scopes == {"calls of main": 1}


def test_only_a_few_examples_are_kept_and_what_is_over_is_forgotten() -> None:
    found = AlertComparison(START_US)
    for number in range(20):
        minute = number * 7200
        for one in (alert(str(number), starts=minute), alert(str(number), starts=minute, ends=minute + 60)):
            one.fingerprint = f"endpoint {number}"
            found.take("candidate", one)
        found.settle(START_US + (minute + OVER_S + 61) * SECOND_US)
        assert not found._open, utc(START_US + minute * SECOND_US)
    assert changes(found) == {"added": 20}
    assert [len(some) for some in found.examples.values()] == [EXAMPLES]


def test_an_alert_that_still_fires_waits_for_its_end() -> None:
    found = AlertComparison(START_US)
    found.take("current", alert("a", starts=60))
    found.settle(START_US + 10 * DAY * SECOND_US)
    assert changes(found) == {}
    found.settle(START_US + 10 * DAY * SECOND_US, everything=True)
    assert changes(found) == {"removed": 1}
