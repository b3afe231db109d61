"""Which events a configuration sends, from what its calls show."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core.delivery.subscriptions import (
    ALL_STEPS,
    CALLS_IN_A_ROW,
    CONFIGURATIONS_CAP,
    KEPT_S,
    LASTING_S,
    Subscriptions,
    believed,
    dump_subscriptions,
    learn,
    load_subscriptions,
    not_sent,
    runs_of,
    steps_shown,
)
from stream.core.effects import SubscriptionDisproved, SubscriptionShown

INITIATED, RINGING, ANSWERED, COMPLETED = 1, 2, 4, 8
WITHOUT_INITIATED = RINGING | ANSWERED | COMPLETED
HERE = "AC1 /callbacks/twilio inbound"


def shown(steps: int, at_s: int, *, received: int | None = None, proven: bool = False) -> SubscriptionShown:
    return SubscriptionShown(HERE, steps, steps if received is None else received, proven, at_s)


def after(*said: SubscriptionShown | SubscriptionDisproved) -> Subscriptions:
    known: Subscriptions = {}
    for one in said:
        known = learn(known, one)
    return known


LONG = [shown(WITHOUT_INITIATED, n * LASTING_S) for n in range(CALLS_IN_A_ROW)]


def test_what_several_calls_show_over_a_while_is_believed_and_a_burst_is_not() -> None:
    assert believed(after(*LONG[:-1]), HERE, 0) == ()
    assert believed(after(*LONG), HERE, 0) == (WITHOUT_INITIATED,)
    assert believed(after(*[shown(WITHOUT_INITIATED, n) for n in range(LASTING_S)]), HERE, 0) == ()
    assert believed(after(*LONG), "AC1 /elsewhere inbound", 0) == ()


def test_a_call_between_them_that_received_more_ends_the_row() -> None:
    whole = shown(ALL_STEPS, LASTING_S)
    assert after(*LONG, whole) == {}
    assert believed(after(*LONG[:3], whole, *LONG[3:]), HERE, 0) == ()
    busy = shown(WITHOUT_INITIATED, LASTING_S, received=RINGING | COMPLETED)
    assert believed(after(*LONG, busy), HERE, 0) == (WITHOUT_INITIATED,)


def test_what_a_request_log_proves_is_believed_at_once_beside_calls_that_receive_more() -> None:
    proof = shown(COMPLETED, 0, proven=True)
    for order in permutations([proof, shown(ALL_STEPS, 1), shown(WITHOUT_INITIATED, 2)]):
        assert believed(after(*order), HERE, 0) == (COMPLETED,)


def test_a_callback_that_arrives_after_all_disproves_what_does_not_send_it() -> None:
    known = after(*LONG, shown(COMPLETED | INITIATED, 1, proven=True))
    assert believed(learn(known, SubscriptionDisproved(HERE, INITIATED)), HERE, 0) == (COMPLETED | INITIATED,)


def test_what_no_call_has_shown_for_a_week_is_forgotten() -> None:
    proof = shown(COMPLETED, 0, proven=True)
    assert believed(after(proof, shown(ALL_STEPS, KEPT_S - 1)), HERE, 0) == (COMPLETED,)
    assert after(proof, shown(ALL_STEPS, KEPT_S)) == {}
    # Also for the first call after that week, before it shows anything.
    assert [believed(after(proof), HERE, at_s) for at_s in (KEPT_S - 1, KEPT_S)] == [(COMPLETED,), ()]


def test_only_so_many_configurations_are_kept_those_that_were_seen_last() -> None:
    known: Subscriptions = {}
    for n in range(CONFIGURATIONS_CAP + 9):
        known = learn(known, SubscriptionShown(f"AC1 /{n} inbound", COMPLETED, COMPLETED, True, n))
    assert sorted(known) == sorted(f"AC1 /{n} inbound" for n in range(9, CONFIGURATIONS_CAP + 9))
    assert len(dump_subscriptions(known) or b"") < 5000


def test_no_news_leaves_the_very_same_mapping_and_the_store_gives_back_what_it_got() -> None:
    known = after(*LONG)
    assert learn(known, SubscriptionDisproved(HERE, RINGING)) is known
    assert learn({}, shown(ALL_STEPS, 1)) == {}
    assert load_subscriptions(dump_subscriptions(known) or b"") == known
    assert dump_subscriptions({}) is None


@pytest.mark.parametrize(
    ("placed", "missing", "subscribed", "explained"),
    [
        # All events came but the first.
        ([(1, 1), (2, 2), (3, 3)], [0], WITHOUT_INITIATED, [0]),
        # Of a busy call: the second missing number is that of a ringing event.
        ([(2, 3)], [0, 1], WITHOUT_INITIATED, []),
        ([(2, 3)], [0, 1], COMPLETED, [0, 1]),
        ([(3, 3)], [0, 1, 2], WITHOUT_INITIATED, [0]),
        # A call that failed at once has one event before its end, and that is not sent.
        ([(1, 3)], [0], WITHOUT_INITIATED, [0]),
        ([(0, 0), (2, 2)], [1], WITHOUT_INITIATED | INITIATED, []),
        # More numbers than events: nothing explains them.
        ([(4, 1)], [0, 1, 2, 3], COMPLETED, []),
    ],
)
def test_a_missing_number_is_explained_where_its_event_is_not_sent(
    placed: list[tuple[int, int]], missing: list[int], subscribed: int, explained: list[int]
) -> None:
    assert not_sent(runs_of(placed, missing), subscribed) == explained


def test_a_call_shows_the_subscription_that_explains_all_that_is_missing() -> None:
    assert steps_shown(runs_of([(1, 1), (3, 3)], [0, 2])) == RINGING | COMPLETED
    assert steps_shown(runs_of([(2, 3)], [0, 1])) == COMPLETED
    assert steps_shown([]) == ALL_STEPS
    assert steps_shown(runs_of([(9, 3)], [0, 1])) == COMPLETED
    assert steps_shown(runs_of([(4, 1)], [0, 1, 2, 3])) is None
