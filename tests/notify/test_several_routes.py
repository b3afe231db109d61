"""Several routes to one sink: whichever an alert takes, the sink is told last what is true."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.core.alerting.rules import SEVERITIES
from stream.core.identity import name_id
from stream.notify.alert import ReceivedAlert
from stream.notify.firing import firing_of
from stream.notify.grouping import Grouping
from stream.notify.sinks.alertmanager import AlertmanagerState
from stream.service.tables.notify_tables import RouteSetting
from tests.notify.alerts import add, alert, condition, resolved

ROUTES = [
    RouteSetting(sink="s", name="pages", severities=("critical",), wait_s=1.0, interval_s=1.0),
    RouteSetting(sink="s", name="rest", wait_s=5.0, interval_s=9.0, per_minute=1),
]


def told(of: Grouping, now_s: float, *fires: ReceivedAlert) -> list[tuple[str, str, int]]:
    """What is sent now: the route, the state and the number of alerts."""
    firing, found = firing_of(ROUTES), []
    for one in fires:
        firing.observe(one.fingerprint, one)
    while (due := of.take_due(now_s)) is not None:
        of.sent(due, now_s)
        found.append((due.route.name, due.notification(firing).state, len(due.taken)))
    return found


def test_a_condition_that_ends_while_its_beginning_waits_is_not_opened_after_its_end() -> None:
    """It was critical an hour ago, so its end takes the route of pages, which is free."""
    of = Grouping(ROUTES, closes=True)
    before = condition()
    for one in (before, resolved(before)):
        add(of, one, 0)
        assert len(told(of, 0)) == 1
    add(of, condition(rule="webhook.slow", severity="warning"), 3600)
    assert told(of, 3600) == [("rest", "firing", 1)]  # its only one in this minute
    again = condition(opened=2, severity="warning")
    add(of, again, 3601)
    add(of, resolved(again), 3602)
    assert told(of, 3660) == [("rest", "resolved", 2)]


def test_what_became_critical_while_it_waited_goes_out_by_the_route_of_pages() -> None:
    of = Grouping(ROUTES, closes=True)
    mild, worse = condition(severity="warning"), condition(opened=2)
    add(of, condition(rule="webhook.slow", severity="warning"), 0)
    assert told(of, 0) == [("rest", "firing", 1)]
    for one in (mild, resolved(mild), worse):
        add(of, one, 1)
    assert told(of, 1, worse) == [("pages", "firing", 3)]
    assert told(of, 100, worse) == []


def test_what_is_not_taken_goes_on_by_the_route_of_what_came_meanwhile_if_that_is_more_severe() -> None:
    of = Grouping(ROUTES, closes=True)
    add(of, condition(severity="warning"), 0)
    due = of.take_due(0)
    assert due is not None
    add(of, condition(revision=2), 0)
    of.put_back(due)
    assert told(of, 0, condition(revision=2)) == [("pages", "firing", 2)]


@pytest.mark.parametrize("severities", [("info", "critical", "warning"), ("critical", "warning", "info")])
def test_a_page_that_is_not_taken_stays_a_page_whatever_milder_comes_later(severities: list[str]) -> None:
    of = Grouping(ROUTES, closes=True)
    first, meanwhile, later = (
        condition(severity=severity, revision=at) for at, severity in enumerate(severities, 1)
    )
    add(of, first, 0)
    due = of.take_due(0)
    assert due is not None
    add(of, meanwhile, 0)
    of.put_back(due)
    add(of, later, 0)
    assert told(of, 0, later) == [("pages", "firing", 3)]


BY_ACCOUNT = [RouteSetting(sink="s", name=id_, accounts=(id_,)) for id_ in ("AC1", "AC2")]
"""Accounts have one name unless CALLSTREAM_METRIC_ACCOUNTS names them."""


@pytest.mark.parametrize("routes", [BY_ACCOUNT, BY_ACCOUNT[::-1]])
def test_accounts_with_one_name_and_a_route_each_are_one_alert_at_alertmanager(
    routes: list[RouteSetting],
) -> None:
    """The end of one account's was the end of both there, for a minute."""
    state = AlertmanagerState(routes, lambda: datetime(2026, 11, 20, 22, 15, tzinfo=UTC))
    calls = [alert(f"twilio:{id_}", account=id_) for id_ in ("AC1", "AC2")]

    def posted() -> list[tuple[str, str]]:
        found = [one for route in routes for one in state.post(route.name)[0]]
        return [(one["annotations"]["count"], one["endsAt"]) for one in found]

    for one in calls:
        state.observe(one.fingerprint, one)
    assert posted() == [("2", "2026-11-20T22:20:00Z")]
    state.observe(calls[0].fingerprint, None)
    assert posted() == [("1", "2026-11-20T22:20:00Z")]
    state.observe(calls[1].fingerprint, None)
    assert posted() == [("0", "2026-11-20T22:15:00Z")]


def test_the_end_of_what_no_route_takes_is_not_told_by_the_route_of_another_account() -> None:
    """Its customer would be told of another one's call."""
    of = Grouping(BY_ACCOUNT[:1], closes=True)
    add(of, alert("twilio:CA1", account="AC1"), 0)
    assert len(told(of, 100)) == 1
    assert add(of, resolved(alert("twilio:CA2", account="AC2")), 200) == "unrouted"
    assert add(of, resolved(alert("twilio:CA1", account="AC1")), 200) == "waiting"


CHANGES = st.tuples(
    *(st.integers(0, 3), st.booleans(), st.sampled_from(SEVERITIES), st.sampled_from([0, 1, 3, 100])),
    *(st.integers(0, 3), st.integers(0, 3)),
)
TWO_BEGIN = [(one, False, "info", 100, 1, 1) for one in (0, 1)]


@given(st.lists(CHANGES, max_size=40), st.booleans())
@example(
    [(0, False, "warning", 0, 1, 1), (0, True, "critical", 0, 1, 1), (0, False, "critical", 0, 1, 1)], True
)
@example([*TWO_BEGIN, *[(one, True, "info", 100, 1, 0) for one in (0, 1)]], True)
@example([(0, False, "info", 100, 1, 0), (1, False, "info", 100, 1, 0), (1, True, "info", 100, 1, 0)], True)
def test_of_each_group_the_last_that_is_told_is_true(
    changes: list[tuple[int, bool, str, int, int, int]], active_is_last: bool
) -> None:
    """Three calls and a condition begin, become more severe and end; some time passes after each. So much is
    read of the alerts and of what is active; of either, the rest is read after the other.
    """
    of, firing, now_s = Grouping(ROUTES, closes=True), firing_of(ROUTES), 0.0
    known: dict[int, ReceivedAlert] = {}
    last: dict[str, str] = {}
    unread: list[ReceivedAlert] = []
    unread_active: list[ReceivedAlert] = []

    def read(number: int | None = None) -> None:
        for one in unread[:number]:
            firing.hear(one)
            add(of, one, now_s)
        del unread[:number]

    def read_active(number: int | None = None) -> None:
        for one in unread_active[:number]:
            firing.observe(one.fingerprint, one if one.is_firing else None)
        del unread_active[:number]

    def send() -> None:
        while (due := of.take_due(now_s)) is not None:
            of.sent(due, now_s)
            last[due.group.key] = due.notification(firing).state

    for which, ends, severity, passes_s, reads, reads_active in changes:
        one = known.get(which)
        if one is None:
            one = (
                condition(severity=severity) if which == 3 else alert(f"twilio:CA{which}", severity=severity)
            )
        elif one.is_firing and ends:
            one = resolved(one)
        else:
            worst = min(severity, one.severity, key=SEVERITIES.index) if one.is_firing else severity
            id_ = name_id("revision", one.episode_id, one.revision + 1)
            one = msgspec.structs.replace(
                one, id=id_, revision=one.revision + 1, severity=worst, state="firing"
            )
        known[which] = one
        unread.append(one)
        unread_active.append(one)
        read_active(reads_active)
        read(reads)
        now_s += passes_s
        send()
    for rest in (read, read_active) if active_is_last else (read_active, read):
        rest()
        for _ in range(40):
            now_s += 60
            send()
    for one in known.values():
        assert last[one.group.key] == ("firing" if firing.count(one.group.key) else "resolved")
        assert firing.is_firing(one.fingerprint) == one.is_firing
