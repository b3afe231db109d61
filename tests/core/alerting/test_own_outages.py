"""That nothing more was told while no worker ran, or one was behind, does not end an episode too early."""

from __future__ import annotations

from stream.core.alerting.alert import Alert
from stream.core.alerting.conditions import take, tick
from stream.core.alerting.rules import read_rules
from stream.core.alerting.scopes import LATE_S, Scope, dump_scope, load_scope
from stream.core.policy import CallPolicy
from stream.core.timestamps import utc
from tests.core.alerting.test_conditions import BAD, BEGIN, GOOD, MINUTE, POLICY, minutes, play, said, told


def firing() -> Scope:
    """Due ten minutes after its last failure, which is minute 0."""
    return play([told(0, *[BAD] * 20)])[0]


def ticked(scope: Scope, minute: float) -> tuple[Scope, list[Alert]]:
    kept, alerts = tick(scope, BEGIN + int(minute * MINUTE), POLICY)
    assert kept is not None
    return load_scope(dump_scope(kept)), alerts


def test_after_an_outage_of_ours_its_quiet_time_begins_anew() -> None:
    scope, alerts = ticked(firing(), 90)
    assert (alerts, scope.due_s) == ([], (BEGIN + 100 * MINUTE) // 1_000_000)
    assert ticked(scope, 99)[1] == []
    assert said(ticked(scope, 100)[1]) == [(2, "resolved", "critical", "confirmed", "quiet")]


def test_what_failed_during_the_outage_belongs_to_the_same_episode() -> None:
    (first,) = play([told(0, *[BAD] * 20)])[1]
    scope, _ = ticked(firing(), 90)
    scope, more = play([told(minute, *[BAD] * 20) for minute in (5, 45, 89)], scope)
    assert more == []
    (over,) = ticked(scope, 100)[1]
    assert (over.reason.code, over.episode_id, over.occurrences) == ("quiet", first.episode_id, 80)


def test_a_report_that_comes_before_the_first_tick_does_not_end_it_either() -> None:
    scope, alerts = take(firing(), told(90, GOOD), POLICY)
    assert alerts == []
    scope, alerts = ticked(scope, 90)
    assert (alerts, scope.due_s) == ([], (BEGIN + 100 * MINUTE) // 1_000_000)


def test_an_episode_that_was_looked_at_in_time_ends_at_once() -> None:
    minute = 10 + LATE_S / 60
    assert [one.reason.code for one in ticked(firing(), minute)[1]] == ["quiet"]
    assert ticked(firing(), minute + 0.1)[1] == []


def test_after_an_outage_good_answers_end_it_as_ever() -> None:
    scope, _ = ticked(firing(), 90)
    assert [one.reason.code for one in take(scope, told(91, *[GOOD] * 60), POLICY)[1]] == ["recovered"]


def test_an_outage_does_not_lengthen_a_later_episode() -> None:
    scope, _ = ticked(firing(), 90)
    scope, _ = ticked(scope, 100)
    scope, alerts = play([told(101, *[BAD] * 20)], scope)
    assert said(alerts) == [(1, "firing", "critical", "confirmed", "webhook.failing")]
    assert [one.reason.code for one in ticked(scope, 111)[1]] == ["quiet"]


def test_an_outage_makes_nothing_that_was_over_before_it_new() -> None:
    """A rule that was switched off is on again when the workers are back."""
    off = CallPolicy(alert_rules=read_rules('[[rules]]\nid = "webhook.slow"\nenabled = false'))
    scope, alerts = play([told(0, *[("answers", "failing", "slow")] * 20)], policy=off)
    assert [one.rule.id for one in alerts] == ["webhook.failing"]
    assert ticked(scope, 90)[1] == []


def test_what_a_partition_that_is_behind_tells_ends_nothing_before_it_began() -> None:
    before = minutes(0, 27, 60, 0)
    _, (first, last) = play([*before, told(30, *[BAD] * 60), told(27, *[GOOD] * 6000)])
    assert (first.starts_at, first.detected_at) == (utc(BEGIN + 30 * MINUTE),) * 2
    assert (last.state, last.ends_at, last.updated_at) == ("resolved", *(utc(BEGIN + 30 * MINUTE),) * 2)
