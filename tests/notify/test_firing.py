"""What is firing, counted in groups: from records in any order of fingerprints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.notify.alert import EXAMPLES
from stream.notify.firing import Firing, firing_of
from stream.service.tables.notify_tables import RouteSetting
from tests.notify.alerts import alert, resolved

CALLS = [alert(f"twilio:CA{number}", account_alias=f"a{number % 2}") for number in range(6)]
CHANGES = st.lists(st.tuples(st.sampled_from(CALLS), st.sampled_from(["fires", "ends", "tombstone"])))


@given(CHANGES)
def test_a_group_has_what_fires_and_its_beginning_and_end_are_told_once(changes: list[tuple]) -> None:  # type: ignore[type-arg]
    firing: Firing[str] = Firing(lambda one: one.group.key)
    expected: dict[str, str] = {}
    open_groups: set[str] = set()
    for one, what in changes:
        record = {"fires": one, "ends": resolved(one), "tombstone": None}[what]
        change = firing.observe(one.fingerprint, record)
        if what == "fires":
            expected[one.fingerprint] = one.group.key
        else:
            expected.pop(one.fingerprint, None)
        now = set(expected.values())
        assert (change.began, change.ended) == (
            next(iter(now - open_groups), None),
            next(iter(open_groups - now), None),
        )
        open_groups = now
    assert {key: group.count for key, group in firing.groups.items()} == {
        key: [*expected.values()].count(key) for key in open_groups
    }
    for key, group in firing.groups.items():
        assert len(group.newest) <= EXAMPLES
        assert all(firing.is_firing(one.fingerprint) and one.group.key == key for one in group.newest)


def test_what_no_route_of_a_sink_takes_keeps_nothing_open_there() -> None:
    """Of one rule and account: a sink of warnings is not told of the others, so they do not fire for it."""
    warning, info = alert("twilio:CA1", severity="warning"), alert("twilio:CA2")
    firing = firing_of([RouteSetting(sink="s", severities=("warning",))])
    for one in (warning, info):
        firing.observe(one.fingerprint, one)
    assert firing.count(warning.group.key) == 1
    firing.observe(warning.fingerprint, None)
    assert firing.count(warning.group.key) == 0


def test_what_is_read_again_behind_its_end_does_not_fire_again() -> None:
    """The end is known from the topic of active alerts; that of alerts is read behind it."""
    firing: Firing[str] = Firing(lambda one: one.group.key)
    one = alert()
    for observed in (one, None):
        firing.observe(one.fingerprint, observed)
    firing.hear(one)
    assert (firing.is_firing(one.fingerprint), firing.fires(one)) == (False, False)


def test_a_group_fires_since_the_earliest_of_its_alerts_whichever_is_read_first() -> None:
    firing: Firing[str] = Firing(lambda one: one.group.key)
    for number, second in enumerate(("05", "02", "07")):
        one = alert(f"twilio:CA{number}", starts_at=f"2026-11-20T22:10:{second}.000000Z")
        firing.observe(one.fingerprint, one)
    assert firing.groups[one.group.key].starts_at == "2026-11-20T22:10:02.000000Z"
