"""What calls tell about an endpoint or an account becomes one episode with counts, and its end."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.alerting import conditions
from stream.core.alerting.alert import Alert
from stream.core.alerting.conditions import take, tick
from stream.core.alerting.rules import read_rules
from stream.core.alerting.scopes import (
    AHEAD_S,
    HORIZON_MIN,
    Scope,
    Told,
    dump_scope,
    held_back,
    load_scope,
    read_told,
)
from stream.core.effects import Observed
from stream.core.events import DecodeError
from stream.core.identity import VERSION, name_id
from stream.core.policy import CallPolicy
from stream.core.timestamps import utc

MINUTE = 60_000_000
BEGIN = 29_500_000 * MINUTE
URL = "https://app.example.com/voice"
ENDPOINT = f"twilio:endpoint:AC1:{URL}"
FAILURES = "twilio:failures:AC1:outbound"
POLICY = CallPolicy()
GOOD, BAD = ("answers",), ("answers", "failing")


def told(
    minute: float, *counters: tuple[str, ...], scope: str = ENDPOINT, heard: float | None = None
) -> Told:
    """One batch: what occurred at a minute, heard then or later. Bad ones have a sample."""
    at_us = BEGIN + int(minute * MINUTE)
    heard_us = at_us if heard is None else BEGIN + int(heard * MINUTE)
    made = Told(scope=scope, heard_us=heard_us)
    for each in counters:
        bad = len(each) > 1 or each[0] == "reported"
        made.add(Observed(scope, at_us, heard_us, each, ("twilio:CA1", "answered 502") if bad else None))
    return made


def play(
    batches: Iterable[Told], scope: Scope | None = None, policy: CallPolicy = POLICY
) -> tuple[Scope, list[Alert]]:
    alerts: list[Alert] = []
    for one in batches:
        scope, more = take(load_scope(dump_scope(scope)) if scope is not None else None, one, policy)
        alerts += more
    assert scope is not None
    return scope, alerts


def said(alerts: list[Alert]) -> list[tuple[int, str, str, str, str]]:
    return [(one.revision, one.state, one.severity, one.confidence, one.reason.code) for one in alerts]


def minutes(first: int, last: int, good: int, bad: int, **more: Any) -> list[Told]:
    return [told(minute, *[GOOD] * good, *[BAD] * bad, **more) for minute in range(first, last)]


def test_a_failing_endpoint_is_one_episode_however_many_requests_fail_and_ends_with_good_ones() -> None:
    outage = [*minutes(0, 20, 60, 0), *minutes(20, 30, 0, 60), *minutes(30, 40, 60, 0)]
    scope, alerts = play(outage)
    assert said(alerts) == [
        (1, "firing", "critical", "confirmed", "webhook.failing"),
        (2, "firing", "critical", "confirmed", "webhook.failing"),
        (3, "resolved", "critical", "confirmed", "recovered"),
    ]
    first, second, last = alerts
    fingerprint = name_id(VERSION, "alert", "webhook.failing", "twilio", "AC1", "endpoint", ENDPOINT)
    opened = name_id(VERSION, "episode", fingerprint, f"minute:{BEGIN // MINUTE + 20}")
    assert {one.fingerprint for one in alerts} == {fingerprint}
    assert {one.episode_id for one in alerts} == {opened}
    assert first.starts_at == utc(BEGIN + 20 * MINUTE)
    assert (first.occurrences, second.occurrences) == (60, 120)
    assert first.window is not None
    assert (first.window.bad, first.window.all, first.window.share) == (60, 300, 0.2)
    assert first.reason.text.startswith(f"60 of 300 requests failed at {URL} between")
    assert (first.webhook and first.webhook.endpoint, len(first.samples)) == (URL, 1)
    assert (last.ends_at, last.occurrences) == (utc(BEGIN + 34 * MINUTE), 600)
    assert len(dump_scope(scope)) < 4000


def test_it_is_found_within_a_minute_of_the_first_failure() -> None:
    _, alerts = play([*minutes(0, 5, 60, 0), *(told(5 + n / 60, BAD) for n in range(60))])
    assert alerts[0].detected_at <= utc(BEGIN + 6 * MINUTE)


@pytest.mark.parametrize(("good", "bad"), [(60, 1), (400, 9), (1, 1), (0, 1)])
def test_few_failures_or_a_small_share_raise_nothing(good: int, bad: int) -> None:
    assert play(minutes(0, 9, good, bad))[1] == []


def test_what_only_the_error_log_tells_wakes_nobody_and_is_retracted_by_the_request_log() -> None:
    """The error log tells within seconds and of failures only, the request log later and of all answers."""
    early = [told(0.5, *[("reported",)] * 12, heard=0.6)]
    scope, alerts = play(early)
    assert said(alerts) == [(1, "firing", "warning", "provisional", "webhook.failing")]
    assert alerts[0].window is not None
    assert alerts[0].window.share is None
    late = [told(0.5, *[GOOD] * 700, *[BAD] * 12, heard=9)]
    assert said(play(late, scope)[1]) == [(2, "resolved", "warning", "provisional", "retracted")]
    worse = [told(0.5, *[GOOD] * 20, *[BAD] * 12, heard=9)]
    assert said(play(worse, scope)[1]) == [(2, "firing", "critical", "confirmed", "webhook.failing")]


def test_what_the_request_log_has_told_so_far_neither_confirms_nor_retracts() -> None:
    """At first it tells of calls that were over before the outage."""
    scope, _ = play([told(0.5, *[("reported",)] * 50, heard=0.6)])
    for n in range(4):
        scope, alerts = play([told(0.1 * n, *[GOOD] * 15, heard=1 + n)], scope)
        assert alerts == []
    assert said(play([told(0.5, *[BAD] * 12, heard=9)], scope)[1]) == [
        (2, "firing", "critical", "confirmed", "webhook.failing")
    ]


def test_with_a_usual_number_of_requests_the_error_log_is_enough_to_wake_someone() -> None:
    usual = minutes(0, 30, 20, 0)
    few = told(31, *[("reported",)] * 10)
    much = told(31, *[("reported",)] * 40)
    assert said(play([*usual, much])[1]) == [(1, "firing", "critical", "provisional", "webhook.failing")]
    busy = minutes(0, 30, 100, 0)
    assert play([*busy, few])[1] == []


def test_it_ends_when_nothing_more_comes_and_a_later_failure_is_another_episode() -> None:
    scope, alerts = play([told(0, *[BAD] * 20)])
    assert scope.due_s == (BEGIN + 10 * MINUTE) // 1_000_000
    again, quiet = tick(scope, BEGIN + 10 * MINUTE, POLICY)
    assert again is not None
    assert said(quiet) == [(2, "resolved", "critical", "confirmed", "quiet")]
    assert tick(again, BEGIN + 11 * MINUTE, POLICY)[1] == []
    _, more = play([told(12, BAD), told(13, *[BAD] * 10)], again)
    assert said(more) == [(1, "firing", "critical", "confirmed", "webhook.failing")]
    assert more[0].episode_id != alerts[0].episode_id
    assert tick(again, BEGIN + 24 * 60 * MINUTE + MINUTE * 12, POLICY)[0] is None


def test_what_ended_by_quiet_after_hours_needs_as_much_to_fire_again_as_anything_else() -> None:
    scope, _ = play(minutes(0, 200, 0, 20))
    after, quiet = tick(scope, BEGIN + 210 * MINUTE, POLICY)
    assert said(quiet) == [(4, "resolved", "critical", "confirmed", "quiet")]
    assert play([told(212, BAD)], after)[1] == []


def test_the_request_log_may_confirm_a_failure_and_tell_its_end_at_once() -> None:
    scope, _ = play([told(0.5, *[("reported",)] * 12, heard=0.6)])
    rows = Told(scope=ENDPOINT, heard_us=BEGIN + 9 * MINUTE)
    for minute, counters in [(0, BAD)] * 15 + [(0, GOOD)] * 20 + [(n, GOOD) for n in range(1, 9)] * 60:
        rows.add(Observed(ENDPOINT, BEGIN + minute * MINUTE, rows.heard_us, counters))
    (last,) = play([rows], scope)[1]
    assert said([last]) == [(2, "resolved", "warning", "confirmed", "recovered")]
    assert last.occurrences == 15


def test_a_few_good_answers_do_not_end_what_many_bad_ones_showed() -> None:
    """Whichever was told first: the rows of a call's log may be minutes apart."""
    rows = [told(8, GOOD, heard=60), told(0, *[BAD] * 20, heard=60)]
    for order in (rows, rows[::-1]):
        assert [one.state for one in play(order)[1]] == ["firing"]


def test_the_link_to_a_call_opens_the_newest_one_that_shows_it() -> None:
    linked = CallPolicy(alert_rules=read_rules("").with_call_page("https://calls.example.com"))
    batch = told(0, *[GOOD] * 20)
    for second in range(20):
        at_us = BEGIN + second * 1_000_000
        sample = (f"twilio:CA{second}", "answered 502")
        batch.add(Observed(ENDPOINT, at_us, at_us, BAD, sample))
    _, (alert, *_) = play([batch], policy=linked)
    assert alert.samples[-1].key == "twilio:CA19"
    assert alert.links == {"call": "https://calls.example.com/ui/calls/twilio%3ACA19"}


def test_slow_answers_are_a_warning() -> None:
    (alert,) = play([told(0, *[("answers", "slow")] * 10, *[GOOD] * 90)])[1]
    assert (alert.rule.id, alert.severity) == ("webhook.slow", "warning")


def ends(minute: int, ok: int, failed: int, code: str = "sip-503") -> Told:
    return told(minute, *[("ended",)] * ok, *[("ended", code)] * failed, scope=FAILURES)


@pytest.mark.parametrize(("direction", "calls"), [("outbound", "outbound calls"), ("", "calls")])
def test_the_text_of_failing_calls_says_their_direction_where_it_is_known(direction: str, calls: str) -> None:
    scope = f"twilio:failures:AC1:{direction}"
    (alert,) = play([told(0, *[("ended", "sip-503")] * 50, *[("ended",)] * 10, scope=scope)])[1]
    assert alert.reason.text.startswith(f"50 of 60 {calls} failed with sip 503 between ")


def test_failures_of_one_code_above_three_times_the_usual_share_are_one_episode() -> None:
    usual = [ends(minute, 90, 10) for minute in range(30)]
    assert play(usual)[1] == []
    worse = [ends(minute, 60, 40) for minute in range(30, 36)]
    scope, alerts = play([*usual, *worse])
    (alert, *_) = alerts
    assert (alert.rule.id, alert.state, alert.severity) == ("calls.failing", "firing", "warning")
    assert alert.scope.id == f"{FAILURES}:sip-503"
    assert (alert.reason.sip_response_code, alert.reason.help) == (
        503,
        "The carrier is overloaded or away: use another route, and ask the carrier.",
    )
    assert alert.window is not None
    assert alert.window.baseline == pytest.approx(0.1, abs=0.03)
    over = [ends(minute, 90, 10) for minute in range(36, 45)]
    assert play([*over], scope)[1][-1].state == "resolved"


def test_without_a_history_only_what_is_gross_is_raised_and_an_outage_does_not_become_usual() -> None:
    assert play([ends(0, 90, 10)])[1] == []
    scope, alerts = play(
        [*(ends(minute, 95, 5) for minute in range(10)), *(ends(minute, 5, 95) for minute in range(10, 14))]
    )
    assert [one.severity for one in alerts] == ["warning", "critical"]
    for hour in range(4):
        scope, alerts = play([ends(14 + hour * 60 + minute, 5, 95) for minute in range(60)], scope)
        assert not [one for one in alerts if one.state == "resolved"]
    assert len(dump_scope(scope)) < 8000


def test_codes_beyond_those_that_are_counted_are_one() -> None:
    many = [ends(0, 0, 12, f"error-{code}") for code in range(60)]
    scope, alerts = play(many)
    assert len(scope.bad_us) == 33
    assert alerts[-1].scope.id == f"{FAILURES}:other"


def test_a_rule_that_is_switched_off_ends_what_fires_and_an_override_is_for_what_it_names() -> None:
    scope, _ = play([told(0, *[BAD] * 20)])
    off = CallPolicy(alert_rules=read_rules('[[rules]]\nid = "webhook.failing"\nenabled = false'))
    assert said(play([told(1, GOOD)], scope, off)[1]) == [
        (2, "resolved", "critical", "confirmed", "rule_disabled")
    ]
    other = read_rules(
        '[[overrides]]\nrule = "webhook.failing"\nendpoint = "https://app.example.com/*"\nleast = 100'
    )
    assert play([told(0, *[BAD] * 20)], policy=CallPolicy(alert_rules=other))[1] == []


spans = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from((GOOD, BAD, ("reported",))), st.integers(1, 12)),
    max_size=30,
)


@given(spans, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_what_fires_in_the_end_does_not_depend_on_what_was_told_first(
    some: list[tuple[int, tuple[str, ...], int]], order: random.Random
) -> None:
    # All heard at one time, as after an outage of our own: how late it was told is part of the input.
    batches = [told(minute, *[counters] * number, heard=26) for minute, counters, number in some]
    shuffled = batches.copy()
    order.shuffle(shuffled)
    if not batches:
        return
    (first, before), (second, after) = play(batches), play(shuffled)
    assert first.minutes == second.minutes
    assert firing(before) == firing(after)
    assert len({one.id for one in before}) == len(before)


def firing(alerts: list[Alert]) -> set[tuple[str, str]]:
    newest = {one.fingerprint: one for one in alerts}
    return {(one.fingerprint, one.rule.id) for one in newest.values() if one.state == "firing"}


@given(spans, st.sampled_from(["", "share = 0.3", "quiet_s = 60"]))
@settings(max_examples=100, deadline=None)
def test_what_is_not_looked_at_closely_would_raise_nothing(
    some: list[tuple[int, tuple[str, ...], int]], change: str
) -> None:
    policy = CallPolicy(alert_rules=read_rules(f'[[rules]]\nid = "webhook.failing"\n{change}'))
    batches = [told(minute, *[counters] * number) for minute, counters, number in some]
    if batches:
        quickly = play(batches, policy=policy)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conditions, "_may_hold", lambda *_: True)
            assert play(batches, policy=policy)[1] == quickly[1]


@given(spans)
@settings(max_examples=30, deadline=None)
def test_the_same_batches_write_the_same_and_a_scope_survives_the_store(
    some: list[tuple[int, tuple[str, ...], int]],
) -> None:
    batches = [told(minute, *[counters] * number) for minute, counters, number in sorted(some)]
    if batches:
        assert play(batches) == play(batches)


def test_what_is_older_than_the_horizon_is_ignored_and_what_was_is_kept_short() -> None:
    scope, _ = play(minutes(0, 400, 5, 0))
    assert len(scope.minutes) <= HORIZON_MIN + 60 + 30 + 1
    before = dict(scope.minutes)
    again, alerts = play([told(100, *[BAD] * 50, heard=400)], scope)
    assert (dict(again.minutes), alerts) == (before, [])


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"x", b"{}", "invalid_field"),
        (b"x", b'{"kind": "told", "scope": "y", "heard_us": 1}', "key_mismatch"),
        (b"x", b'{"kind": "told", "scope": "x", "heard_us": 1}', "invalid_field"),
        (b"a:b:c:d", b'{"kind": "told", "scope": "a:b:c:d", "heard_us": 1}', "invalid_field"),
    ],
)
def test_what_nobody_can_have_told_is_refused(key: bytes, value: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as refused:
        read_told(key, value)
    assert refused.value.reason == reason


def test_one_report_from_the_future_hides_no_failing_endpoint() -> None:
    scope: Scope | None = None
    alerts: list[Alert] = []
    reports = [(told(5000.0, BAD), 0.0), *((told(minute, *[BAD] * 5), minute) for minute in (0.0, 1.0, 2.0))]
    for report, written in reports:
        timely = held_back(report, scope, BEGIN + int(written * MINUTE))
        scope, more = take(scope, timely, POLICY)
        alerts += more
    assert [(one.state, one.occurrences) for one in alerts] == [("firing", 11)]
    assert alerts[0].samples[-1].at == utc(BEGIN + MINUTE)
    assert scope is not None
    assert tick(scope, BEGIN + 13 * MINUTE, POLICY)[1][0].reason.code == "quiet"


def test_a_clock_that_is_a_little_ahead_is_believed() -> None:
    report = told(0.0, BAD, heard=AHEAD_S / 60)
    assert held_back(report, None, BEGIN) is report
    ahead = told(0.0, BAD, heard=AHEAD_S / 60 + 0.1)
    assert held_back(ahead, None, BEGIN).heard_us == BEGIN
    late = Scope(0, BEGIN + MINUTE, ENDPOINT)
    assert held_back(ahead, late, BEGIN).heard_us == BEGIN + MINUTE
