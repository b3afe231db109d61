"""Properties of any deliveries of one call, in any order and any number of times.

These are the promises of the state (a join) and of the identities (once each), over mixed sources.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.call.lifecycle import lifecycle_of
from stream.core.call.record import CallRecord
from stream.core.call.state import Call, dump, load
from stream.core.call.timers import tick
from stream.core.policy import CallPolicy
from stream.core.sources import FETCHED_SOURCES
from stream.core.statuses import TERMINAL
from tests.core.deliveries import START_US, Delivery, callback, calls_row, logged, parameters
from tests.core.folding import knowledge, said_of, settled, tell
from tests.core.mixtures import crowds, orders, several


class Backwards(random.Random):
    """An order for an example: reversed."""

    def shuffle(self, x: Any) -> None:
        x.reverse()


_EXPIRED = {"state": "closed", "closed_by": "expired"}


@given(several, orders)
@settings(max_examples=48, deadline=None)
def test_the_order_of_arrival_does_not_change_what_is_known(deliveries: list[Delivery], order: Any) -> None:
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    first, second = tell(deliveries), tell(shuffled)
    assert knowledge(first.call) == knowledge(second.call)
    assert bool(first.all_of(CallRecord)) == bool(second.all_of(CallRecord))
    if first.call.ended:
        assert said_of(first.record) == said_of(second.record)
        # Nothing that came is missing in it: settling adds nothing.
        expired = [gap | _EXPIRED if gap["state"] == "open" else gap for gap in first.record.gaps]
        assert said_of(settled(first.call)) == said_of(first.record) | {"settled": True, "gaps": expired}


ROW = calls_row("completed", received_s=0.0)


@example([ROW, logged(parameters("completed", None, 0), received_s=0.0)], Backwards(), ("twilio_call",))
@example(
    [callback("queued", "0", 0, received_s=0.0), callback("completed", "0", 0, received_s=0.0), ROW],
    Backwards(),
    ("twilio_call",),
)
@given(several, orders, st.sampled_from((("twilio_call",), ("telnyx_call_event",), FETCHED_SOURCES)))
@settings(max_examples=24, deadline=None)
def test_the_settled_record_does_not_depend_on_the_order_whatever_is_polled(
    deliveries: list[Delivery], order: Any, polled: tuple[str, ...]
) -> None:
    policy = CallPolicy(polled=polled)
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    first, second = (
        [effect for effect in _settled(some, policy) if type(effect) is CallRecord]
        for some in (deliveries, shuffled)
    )
    assert [said_of(record) for record in first[-1:]] == [said_of(record) for record in second[-1:]]


def _settled(deliveries: list[Delivery], policy: CallPolicy) -> list[Any]:
    call: Call | None = tell(deliveries, policy=policy).call
    effects: list[Any] = []
    for second in (100_000, 200_000):
        if call is not None:
            ticked = tick(call, START_US + second * 1_000_000, policy)
            call, effects = ticked.call, effects + ticked.effects
    return effects


@given(several, orders)
@settings(max_examples=24, deadline=None)
def test_repeating_any_deliveries_changes_nothing_that_is_known(
    deliveries: list[Delivery], order: Any
) -> None:
    more = deliveries + [one for one in deliveries if order.random() < 0.7]
    order.shuffle(more)
    once, often = tell(deliveries), tell(more)
    assert knowledge(once.call) == knowledge(often.call)
    assert sorted(event.id for event in once.events) == sorted(event.id for event in often.events)
    if once.all_of(CallRecord):
        assert said_of(once.record) == said_of(often.record)


@given(several)
@settings(max_examples=16, deadline=None)
def test_a_delivery_at_once_again_says_nothing_new(deliveries: list[Delivery]) -> None:
    told = tell(one for one in deliveries for _ in range(2))
    assert told.results[1::2] == ["duplicate"] * len(deliveries)
    assert [folded.effects for folded in told.folded[1::2]] == [[]] * len(deliveries)


@given(several, orders)
@settings(max_examples=24, deadline=None)
def test_every_event_is_told_exactly_once_in_any_order(deliveries: list[Delivery], order: Any) -> None:
    shuffled = deliveries + deliveries
    order.shuffle(shuffled)
    first, second = ([event.id for event in tell(some).events] for some in (deliveries, shuffled))
    assert len(set(first)) == len(first)
    assert sorted(first) == sorted(second)


@given(several)
@settings(max_examples=24, deadline=None)
def test_nothing_leads_out_of_a_terminal_status(deliveries: list[Delivery]) -> None:
    call, ended = None, False
    for one in deliveries:
        call = tell([one], call=call).call
        end = lifecycle_of(call).end
        assert call.ended == (end is not None)
        assert not (ended and end is None)
        assert end is None or end.status in TERMINAL
        ended = call.ended


@given(several)
@settings(max_examples=16, deadline=None)
def test_a_call_comes_back_from_the_store_as_it_was(deliveries: list[Delivery]) -> None:
    call = tell(deliveries).call
    assert load(dump(call)) == call


@given(several, st.integers(0, 12))
@settings(max_examples=16, deadline=None)
def test_a_call_that_was_stored_in_between_goes_on_as_if_it_was_not(
    deliveries: list[Delivery], split: int
) -> None:
    whole = tell(deliveries)
    before = deliveries[:split]
    call = load(dump(tell(before).call)) if before else None
    after = tell(deliveries[split:], call=call, offset=len(before)) if deliveries[split:] else None
    if after is not None:
        assert after.call == whole.call
        assert after.effects == [effect for folded in whole.folded[split:] for effect in folded.effects]


@given(crowds, orders)
@settings(max_examples=3, deadline=None)
def test_what_is_kept_of_too_many_events_does_not_depend_on_their_order(
    deliveries: list[Delivery], order: Any
) -> None:
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    first, second = tell(deliveries), tell(shuffled)
    assert knowledge(first.call) == knowledge(second.call)
    assert len(dump(first.call)) < 32_000
    if first.all_of(CallRecord):
        assert said_of(first.record) == said_of(second.record)


@given(several, orders, st.lists(st.integers(0, 4), min_size=12, max_size=12))
@settings(max_examples=24, deadline=None)
def test_what_is_settled_of_gaps_does_not_depend_on_the_order_nor_on_ticks_in_between(
    deliveries: list[Delivery], order: Any, pauses: list[int]
) -> None:
    """But for what came late: whether it did is a matter of time."""
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    told = tell(deliveries)
    if not told.call.ended:
        return
    first, second = settled(told.call), settled(_with_ticks(shuffled, pauses))
    assert _but_for_late(said_of(first)) == _but_for_late(said_of(second))


def _with_ticks(deliveries: list[Delivery], pauses: list[int]) -> Call:
    """The call after these deliveries, each with as many ticks behind it as its pause says."""
    call: Call | None = None
    now_us = START_US
    for one, pause in zip(deliveries, pauses, strict=False):
        call = tell([one], call=call).call
        for _ in range(pause):
            now_us = max(now_us, one.envelope.received_us) + 6_000_000
            call = tick(call, now_us, CallPolicy()).call
            assert call is not None
    assert call is not None
    return call


def _but_for_late(said: dict[str, Any]) -> dict[str, Any]:
    gaps = [gap for gap in said["gaps"] if gap["closed_by"] != "late_arrival"]
    audit = [one for one in said["delivery_audit"] if one["result"] != "late"]
    return said | {"gaps": gaps, "delivery_audit": audit}
