"""Which alerts make one notification, and when: with a clock that the tests set."""

from __future__ import annotations

import time
from typing import Any

import pytest

from stream.notify.alert import ReceivedAlert
from stream.notify.firing import Firing
from stream.notify.grouping import Grouping, Notification
from stream.service.tables.notify_tables import RouteSetting
from tests.notify.alerts import add, alert, condition, resolved


def grouping(*, closes: bool = True, **route: Any) -> Grouping:
    return Grouping([RouteSetting(sink="s", name="r", **route)], closes=closes)


def firing(*alerts: ReceivedAlert) -> Firing[str]:
    found: Firing[str] = Firing(lambda one: one.group.key)
    for one in alerts:
        found.observe(one.fingerprint, one)
    return found


def sent(of: Grouping, until_s: float, state: Firing[str] | None = None) -> list[tuple[float, Notification]]:
    """What is sent from second to second, and when."""
    found = []
    for now_s in range(int(until_s) + 1):
        while (due := of.take_due(now_s)) is not None:
            of.sent(due, now_s)
            found.append((float(now_s), due.notification(state or firing())))
    return found


def test_five_hundred_failed_calls_in_a_minute_are_one_notification_after_another_with_their_number() -> None:
    """Of two accounts and two rules: never more than three a minute, and no call is left out."""
    of = grouping(interval_s=60.0)
    told: list[tuple[float, Notification]] = []
    for second in range(240):
        for number in range(10 if second < 60 else 0):
            fields = {
                "rule": ("call.failed", "call.short")[number % 2],
                "account_alias": f"a{number % 4 // 2}",
            }
            add(of, alert(f"twilio:CA{second}-{number}", **fields), second)
        while (due := of.take_due(second)) is not None:
            of.sent(due, second)
            told.append((second, due.notification(firing())))
    for at_s, _ in told:
        assert sum(at_s <= other < at_s + 60 for other, _ in told) <= 3
    assert sum(one.fired for _, one in told) == 600
    assert {len(one.alerts) for _, one in told} == {3}
    assert told[0][0] == 30  # collected for wait_s
    assert len(told) == 7  # the fourth group waited for its turn, and was told once of all its calls


def test_a_condition_is_told_at_once_and_its_news_too_but_its_count_only_once_an_interval() -> None:
    of = grouping()
    opened = condition()
    more = condition(revision=2, occurrences=10)
    worse = condition(revision=3, occurrences=11, severity="warning")
    add(of, opened, 0)
    assert [at for at, _ in sent(of, 0)] == [0]
    add(of, more, 1)
    assert of.take_due(299) is None
    assert of.next_s() == 300
    add(of, worse, 10)
    ((_, told),) = sent(of, 10)
    assert (told.fired, told.occurrences, told.severity) == (1, 11, "critical")
    add(of, resolved(worse), 11)
    ((_, told),) = sent(of, 11)
    assert (told.state, told.firing_now, told.resolved) == ("resolved", 0, 1)


def test_a_route_that_has_sent_its_number_waits_and_the_most_severe_goes_first() -> None:
    of = grouping(per_minute=1)
    for severity in ("info", "warning", "critical"):
        one = condition(rule=f"webhook.{severity}", severity=severity)
        add(of, one, 0)
    assert [(at, one.severity) for at, one in sent(of, 130)] == [
        (0, "critical"),
        (60, "warning"),
        (120, "info"),
    ]


def test_a_revision_that_was_seen_and_an_older_one_are_repeated() -> None:
    of = grouping()
    assert add(of, condition(revision=2), 0) == "waiting"
    assert add(of, condition(revision=2), 0) == "repeated"
    assert add(of, condition(revision=1), 0) == "repeated"
    assert add(of, condition(revision=1, opened=2), 0) == "waiting"


def test_a_fact_is_news_once_and_again_only_if_it_is_more_severe() -> None:
    """Its later revisions say that a second source confirms it, or that it was seen ten times."""
    of = grouping(wait_s=1.0)
    add(of, alert(), 0)
    assert [one.fired for _, one in sent(of, 1)] == [1]
    assert add(of, alert(revision=2, confidence="confirmed"), 2) == "repeated"
    assert add(of, alert(revision=3, severity="warning"), 2) == "waiting"
    assert add(of, alert(revision=2, severity="critical"), 2) == "repeated"
    assert add(of, resolved(alert(revision=3)), 2) == "waiting"


def test_a_fact_that_is_true_again_after_its_end_is_news() -> None:
    """It continues its episode: a call that is failed after all, or a second gap."""
    of = grouping(wait_s=1.0, interval_s=1.0)
    first = alert()
    ended = resolved(first, "retracted_by_reconciliation")
    told = []
    for at_s, one in enumerate((first, ended, alert(revision=3))):
        assert add(of, one, at_s * 10) == "waiting"
        due = of.take_due(at_s * 10 + 1)
        assert due is not None
        of.sent(due, at_s * 10 + 1)
        told.append(due.notification(firing()).state)
    assert told == ["firing", "resolved", "firing"]
    assert add(of, alert(revision=4, confidence="confirmed"), 40) == "repeated"


@pytest.mark.parametrize(
    ("route", "is_taken"),
    [
        ({}, True),
        ({"rules": ("call.*",)}, True),
        ({"rules": ("call.failed",)}, True),
        ({"rules": ("call.fail",)}, False),
        ({"rules": ("webhook.*", "calls.failing")}, False),
        ({"severities": ("info",)}, True),
        ({"severities": ("critical", "warning")}, False),
        ({"accounts": ("main",)}, True),
        ({"accounts": ("AC1", "europe")}, True),
        ({"accounts": ("europe",)}, False),
    ],
)
def test_a_route_takes_by_rule_severity_and_account(route: dict[str, Any], *, is_taken: bool) -> None:
    assert (add(grouping(**route), alert(), 0) == "waiting") is is_taken


def test_the_first_route_that_takes_an_alert_is_its_only_one() -> None:
    routes = [
        RouteSetting(sink="s", name="pages", severities=("critical",)),
        RouteSetting(sink="s", name="rest", wait_s=1.0),
    ]
    of = Grouping(routes, closes=True)
    add(of, condition(), 0)
    add(of, alert(), 0)
    assert [one.route for _, one in sent(of, 5)] == ["pages", "rest"]


def test_an_end_is_told_whatever_its_severity_if_the_beginning_was_told() -> None:
    of = grouping(closes=False, severities=("critical",))
    known, other = condition(), condition(rule="webhook.slow", severity="warning")
    add(of, known, 0)
    assert len(sent(of, 0)) == 1
    assert add(of, resolved(condition(severity="warning", revision=5)), 1) == "waiting"
    assert add(of, resolved(other), 1) == "unrouted"


@pytest.mark.parametrize("now_s", [0, 5])
def test_an_end_takes_the_route_of_its_beginning(now_s: float) -> None:
    """Also if the beginning still waits. Another route would take it by its present severity."""
    routes = [
        RouteSetting(sink="s", name="pages", severities=("critical",)),
        RouteSetting(sink="s", name="rest"),
    ]
    of = Grouping(routes, closes=False)
    add(of, condition(severity="warning"), 0)
    sent(of, now_s)
    assert add(of, resolved(condition(severity="critical", revision=3)), 10) == "waiting"
    assert {one.route for _, one in sent(of, 20)} == {"rest"}


@pytest.mark.parametrize(
    ("code", "closes", "result"),
    [
        ("settled", False, "unrouted"),
        ("settled", True, "waiting"),
        ("retracted_by_reconciliation", False, "waiting"),
    ],
)
def test_a_fact_that_only_settles_is_news_to_nobody_but_sinks_that_keep_it_open(
    code: str, result: str, *, closes: bool
) -> None:
    assert add(grouping(closes=closes), resolved(alert(), code), 0) == result


def test_facts_are_open_until_the_last_of_them_has_ended_in_any_partition() -> None:
    """Another process reads the partition of the second call; what is firing says so."""
    mine, others = alert("twilio:CA1"), alert("twilio:CA2")
    of = grouping(wait_s=1.0)
    add(of, resolved(mine, "settled"), 0)
    ((_, told),) = sent(of, 1, firing(mine, others))
    assert (told.state, told.firing_now) == ("firing", 1)
    of = grouping(wait_s=1.0)
    add(of, resolved(mine, "settled"), 0)
    ((_, told),) = sent(of, 1, firing(mine))
    assert (told.state, told.firing_now) == ("resolved", 0)


def test_what_has_settled_before_it_is_told_is_told_and_does_not_count_as_firing() -> None:
    """The end of a gap that nothing subscribes to comes after seconds, and is told to no sink like Slack."""
    mine, others = alert("twilio:CA1"), alert("twilio:CA2")
    of, state = grouping(wait_s=1.0, closes=False), firing()
    for one in (mine, others, resolved(mine, "not_sent")):
        state.hear(one)
        add(of, one, 0)
    ((_, told),) = sent(of, 1, state)
    assert (told.state, told.fired, told.firing_now) == ("firing", 2, 1)


def test_what_a_sink_has_not_taken_waits_with_what_comes_meanwhile() -> None:
    of, done = grouping(wait_s=1.0), list[str]()
    first, second = alert("twilio:CA1"), alert("twilio:CA2")
    add(of, first, 0, done)
    due = of.take_due(1)
    assert due is not None
    alone = due.notification(firing())
    add(of, second, 1, done)
    of.put_back(due)
    again = of.take_due(2)
    assert again is not None
    told = again.notification(firing())
    assert [one.alert.id for one in again.taken] == [first.id, second.id]
    assert (told.fired, told.alerts[0]) == (2, second)
    assert told.id != alone.id
    assert told.id == again.notification(firing(first)).id
    assert of.take_due(1000) is None


def test_while_no_more_are_read_nothing_is_collected_but_a_route_keeps_its_number() -> None:
    """A page may be among what is not read."""
    of = grouping(per_minute=2)
    add(of, alert("twilio:CA1"), 0)
    assert len(sent(of, 30)) == 1
    add(of, alert("twilio:CA2"), 31)
    assert of.next_s() == 330
    of.crowded = True
    assert of.next_s() == 31
    due = of.take_due(31)
    assert due is not None
    of.sent(due, 31)
    add(of, alert("twilio:CA3"), 32)
    assert of.next_s() == 90


def test_a_notification_that_a_sink_never_takes_holds_up_no_other() -> None:
    of = grouping(per_minute=60)
    for rule in ("webhook.poison", "webhook.1", "webhook.2"):
        add(of, condition(rule=rule, severity="critical" if "poison" in rule else "info"), 0)
    told = []
    for second in range(5):
        due = of.take_due(second)
        assert due is not None
        told.append(due.group.rule)
        if due.group.rule == "webhook.poison":
            of.put_back(due)
        else:
            of.sent(due, second)
    assert told[:4] == ["webhook.poison", "webhook.1", "webhook.poison", "webhook.2"]


def test_a_dead_letter_that_is_written_back_is_news_again_unless_a_later_revision_came() -> None:
    of = grouping()
    opened = condition()
    for later, result in ((None, "waiting"), (resolved(opened), "repeated")):
        add(of, opened, 0)
        due = of.take_due(0)
        assert due is not None
        if later is not None:
            add(of, later, 0)
        of.given_up(due)
        assert add(of, opened, 1) == result
        of.forget()


def test_the_ends_of_facts_that_no_route_takes_are_told_to_no_sink() -> None:
    """They come for each call that fails, and would fill a route for what is critical. The severity of a
    condition may have changed since it was told of.
    """
    of = grouping(severities=("critical",))
    assert add(of, resolved(alert(), "settled"), 0) == "unrouted"
    assert add(of, resolved(condition(severity="warning")), 0) == "waiting"


def test_the_end_of_a_fact_that_was_never_severe_enough_is_not_told_with_those_that_were() -> None:
    of = grouping(severities=("warning",), wait_s=1.0)
    add(of, alert("twilio:CA1", severity="warning"), 0)
    assert len(sent(of, 1)) == 1
    assert add(of, resolved(alert("twilio:CA2"), "settled"), 2) == "unrouted"
    for severity in ("warning", "critical"):
        one = alert(f"twilio:CA{severity}", severity=severity)
        assert add(of, resolved(one, "settled"), 2) == "waiting"


def test_what_other_processes_read_is_forgotten() -> None:
    of = grouping()
    add(of, condition(), 0)
    of.forget()
    assert of.take_due(1000) is None
    assert add(of, condition(), 0) == "waiting"


def test_thousands_of_facts_of_one_group_are_added_in_a_moment() -> None:
    """All sinks share the time. Each fact looked at all before it: ten seconds and more."""
    facts = [alert(f"twilio:CA{number}") for number in range(10_000)]
    of = grouping()
    began_s = time.perf_counter()
    for one in facts:
        add(of, one, 0.0)
    assert time.perf_counter() - began_s < 2
