"""Who goes next, and who is sent away."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stream.core.fetches import PRIORITIES
from stream.poller.on_demand.pending_requests import PendingRequest, PendingRequests, PutResult
from tests.poller.asked import asked, fetch


def of(offset: int, priority: str, **changed: object) -> PendingRequest:
    return asked(offset, fetch(**{"number": offset, "priority": priority, **changed}))  # type: ignore[arg-type]


def in_order(queue: PendingRequests, slots: int = 1_000_000) -> list[int]:
    found = []
    while (one := queue.take({}, slots)) is not None:
        found.append(one.offset)
    return found


def filled(*waiting: PendingRequest, room: int = 100) -> PendingRequests:
    queue = PendingRequests(room)
    for one in waiting:
        assert queue.put(one) == PutResult()
    return queue


def test_the_most_urgent_goes_first_and_among_equals_who_came_first() -> None:
    queue = filled(
        of(1, "backfill"),
        of(2, "freshness"),
        of(3, "terminal"),
        of(4, "heal"),
        of(5, "heal"),
        of(6, "terminal"),
    )
    assert (len(queue), in_order(queue), len(queue)) == (6, [4, 5, 3, 6, 2, 1], 0)


def test_a_newer_request_for_the_same_stands_where_the_older_one_stood() -> None:
    first, second = of(1, "terminal"), of(2, "terminal")
    queue = filled(first, second)
    newer = of(3, "terminal", number=1, attempt=2)
    assert queue.put(newer) == PutResult(replaced=first)
    assert [queue.take({}, 5), queue.take({}, 5), queue.take({}, 5)] == [newer, second, None]


def test_another_source_or_edge_of_the_call_is_another_request() -> None:
    queue = filled(
        of(1, "heal", number=1),
        of(2, "heal", number=1, source="twilio_call_event"),
        of(3, "heal", number=1, source="twilio_insights_event"),
        of(4, "heal", number=1, source="twilio_insights_event", edge="carrier_edge"),
    )
    assert in_order(queue) == [1, 2, 3, 4]


def test_another_reason_is_another_request_because_its_result_is_awaited_too() -> None:
    queue = PendingRequests(10)
    for offset, reason in enumerate(("ended", "overdue")):
        assert queue.put(asked(offset, fetch(1, reason=reason))) == PutResult()
    assert len(queue.clear()) == 2


def test_of_two_priorities_for_the_same_the_higher_one_stays() -> None:
    old_heal, old_backfill, heal = of(1, "heal"), of(2, "backfill"), of(3, "heal")
    queue = filled(old_heal, old_backfill, heal)
    less, more = of(4, "freshness", number=1), of(5, "heal", number=2)
    assert [queue.put(less), queue.put(more)] == [
        PutResult(replaced=old_heal),
        PutResult(replaced=old_backfill),
    ]
    as_urgent = less._replace(request=replace(less.request, priority="heal"))
    assert [queue.take({}, 5) for _ in range(4)] == [as_urgent, heal, more, None]


def test_who_comes_when_the_room_is_full_is_sent_away_unless_it_is_to_heal() -> None:
    queue = filled(of(1, "backfill"), of(2, "heal"), room=2)
    for priority in ("terminal", "freshness", "backfill"):
        late = of(3, priority)
        assert queue.put(late) == PutResult(deferred=late)
    assert in_order(queue) == [2, 1]


def test_to_heal_the_newest_of_the_lowest_priority_is_sent_away() -> None:
    older, newer, fresh, terminal = (
        of(1, "backfill"),
        of(2, "backfill"),
        of(3, "freshness"),
        of(4, "terminal"),
    )
    queue = filled(older, newer, fresh, terminal, room=4)
    assert [queue.put(of(number, "heal")) for number in range(5, 9)] == [
        PutResult(deferred=newer),
        PutResult(deferred=older),
        PutResult(deferred=fresh),
        PutResult(deferred=terminal),
    ]
    last = of(9, "heal")
    assert queue.put(last) == PutResult(deferred=last)
    assert in_order(queue) == [5, 6, 7, 8]


def test_every_priority_keeps_a_part_of_the_room_however_many_there_are_to_heal() -> None:
    queue = PendingRequests(16)
    of_each = {"backfill": [1, 2, 3], "freshness": [4], "terminal": []}
    for priority, offsets in of_each.items():
        for offset in offsets:
            queue.put(of(offset, priority))
    heal = [of(offset, "heal") for offset in range(10, 40)]
    sent_away = [gone.offset for one in heal for gone in queue.put(one) if gone is not None]
    assert sent_away == [3, *range(23, 40)]
    assert queue.put(of(50, "terminal")) == PutResult(deferred=heal[12])
    assert queue.put(of(51, "terminal")) == PutResult(deferred=heal[11])
    late = of(52, "terminal")
    assert queue.put(late) == PutResult(deferred=late)
    assert in_order(queue) == [*range(10, 21), 50, 51, 4, 1, 2]


def test_a_newer_request_for_the_same_needs_no_room() -> None:
    first = of(1, "backfill")
    queue = filled(first, of(2, "heal"), room=2)
    assert queue.put(of(3, "backfill", number=1)) == PutResult(replaced=first)
    assert in_order(queue) == [2, 3]


def test_no_more_are_let_through_than_there_are_slots() -> None:
    queue = filled(*(of(number, "terminal") for number in range(5)))
    running = Counter({"terminal": 2})
    assert queue.take(running, 2) is None
    assert queue.take(running, 3) is not None


def test_whoever_is_more_urgent_waits_for_nobody_who_is_less() -> None:
    heal, terminal = of(1, "heal"), of(2, "terminal")
    queue = filled(heal, terminal)
    running = Counter({"heal": 1, "terminal": 1, "backfill": 7})
    assert [queue.take(running, 2), queue.take(running, 2)] == [heal, None]
    running["heal"] += 1
    assert queue.take(running, 3) is None
    assert queue.take(running, 4) == terminal


def test_of_every_priority_that_waits_one_is_let_through() -> None:
    """Then the budget has it to choose from: that nobody starves is decided there."""
    waiting = {priority: of(number, priority) for number, priority in enumerate(PRIORITIES)}
    for priority in PRIORITIES[1:]:
        queue = filled(waiting[priority])
        assert queue.take(Counter({"heal": 9}), 2) == waiting[priority]
        queue = filled(waiting[priority])
        assert queue.take(Counter({"heal": 9, priority: 1}), 2) is None


def test_without_slots_nobody_is_let_through() -> None:
    assert filled(of(1, "heal")).take({}, 0) is None


def test_when_it_is_cleared_everybody_is_handed_back() -> None:
    first, second = of(1, "backfill"), of(2, "heal")
    queue = filled(first, second)
    assert (queue.clear(), len(queue), queue.take({}, 5)) == ([second, first], 0, None)


requests = st.tuples(
    st.integers(1, 6),
    st.sampled_from(PRIORITIES),
    st.sampled_from(("twilio_call", "twilio_call_event")),
)


@given(st.lists(st.one_of(requests, st.just("take")), max_size=60), st.sampled_from((1, 2, 3, 4, 8)))
def test_nobody_is_lost_nobody_waits_twice_and_the_room_is_kept(steps: list[object], room: int) -> None:
    queue, given_, back = PendingRequests(room), [], []
    for offset, step in enumerate(steps):
        if isinstance(step, tuple):
            number, priority, source = step
            one = of(offset, priority, number=number, source=source)
            given_.append(one)
            back += [gone.offset for gone in queue.put(one) if gone is not None]
        elif (taken := queue.take({}, 5)) is not None:
            back.append(taken.offset)
        assert len(queue) <= room
    left = queue.clear()
    assert sorted([*back, *(one.offset for one in left)]) == [one.offset for one in given_]
    identities = [(one.request.key, one.request.source, one.request.edge) for one in left]
    assert len(set(identities)) == len(identities)
