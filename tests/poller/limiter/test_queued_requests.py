"""Fetch requests in an account's queue: which is next, which is replaced, which has no room."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from stream.core.fetches import PRIORITIES
from stream.poller.limiter.fair_queue import FairPriorityQueue, PutResult

_keys = count()


def put(queue: FairPriorityQueue[str], request: str, priority: str, key: object = None) -> PutResult[str]:
    """A request of its own kind, where no key is given."""
    return queue.put(next(_keys) if key is None else key, request, priority)


def filled(*requests: tuple[str, str], room: int = 100) -> FairPriorityQueue[str]:
    queue: FairPriorityQueue[str] = FairPriorityQueue(room)
    for request, priority in requests:
        assert put(queue, request, priority) == PutResult()
    return queue


def in_order(queue: FairPriorityQueue[str]) -> list[str]:
    found = []
    while queue.has_next():
        found.append(queue.take())
    return found


def test_the_most_urgent_goes_first_and_among_equals_the_one_that_came_first() -> None:
    queue = filled(("b", "backfill"), ("f", "freshness"), ("t1", "terminal"), ("h1", "heal"), ("h2", "heal"))
    assert in_order(queue) == ["h1", "h2", "t1", "f", "b"]


def test_a_newer_request_for_the_same_takes_the_place_of_the_older_one() -> None:
    queue: FairPriorityQueue[str] = FairPriorityQueue()
    put(queue, "older", "terminal", key="same")
    put(queue, "other", "terminal", key="other")
    assert put(queue, "newer", "terminal", key="same") == PutResult(replaced="older")
    assert in_order(queue) == ["newer", "other"]


def test_the_more_urgent_of_an_older_and_a_newer_request_decides() -> None:
    queue: FairPriorityQueue[str] = FairPriorityQueue()
    put(queue, "old heal", "heal", key=1)
    put(queue, "old backfill", "backfill", key=2)
    put(queue, "heal", "heal", key=3)
    assert put(queue, "less urgent", "freshness", key=1) == PutResult(replaced="old heal")
    assert put(queue, "more urgent", "heal", key=2) == PutResult(replaced="old backfill")
    assert in_order(queue) == ["less urgent", "heal", "more urgent"]


def test_a_request_that_finds_no_room_is_deferred_unless_it_is_to_heal() -> None:
    queue = filled(("b", "backfill"), ("h", "heal"), room=2)
    for priority in ("terminal", "freshness", "backfill"):
        assert put(queue, "late", priority) == PutResult(deferred="late")
    assert in_order(queue) == ["h", "b"]


def test_for_a_heal_request_the_newest_of_the_lowest_priority_is_deferred() -> None:
    queue = filled(
        ("older", "backfill"), ("newer", "backfill"), ("f", "freshness"), ("t", "terminal"), room=4
    )
    deferred = [put(queue, f"h{number}", "heal").deferred for number in range(5)]
    assert deferred == ["newer", "older", "f", "t", "h4"]
    assert in_order(queue) == ["h0", "h1", "h2", "h3"]


def test_every_priority_keeps_a_part_of_the_room_however_many_there_are_to_heal() -> None:
    queue = filled(("b1", "backfill"), ("b2", "backfill"), ("b3", "backfill"), ("f", "freshness"), room=16)
    deferred = [put(queue, f"h{number}", "heal").deferred for number in range(30)]
    assert [one for one in deferred if one] == ["b3", *(f"h{number}" for number in range(13, 30))]
    assert put(queue, "t1", "terminal") == PutResult(deferred="h12")
    assert put(queue, "t2", "terminal") == PutResult(deferred="h11")
    assert put(queue, "t3", "terminal") == PutResult(deferred="t3")
    assert queue.waiting() == {"heal": 11, "terminal": 2, "freshness": 1, "backfill": 2}


def test_a_newer_request_for_the_same_needs_no_room() -> None:
    queue: FairPriorityQueue[str] = FairPriorityQueue(room=1)
    put(queue, "older", "backfill", key=1)
    assert put(queue, "newer", "backfill", key=1) == PutResult(replaced="older")


def test_waiters_need_no_room() -> None:
    queue = filled(("t", "terminal"), room=1)
    queue.join("page", "terminal")
    assert sorted(in_order(queue)) == ["page", "t"]


def test_requests_and_the_pages_of_reads_in_progress_take_turns() -> None:
    queue = filled(*((f"r{number}", "terminal") for number in range(3)))
    for number in range(3):
        queue.join(f"page {number}", "terminal")
    assert in_order(queue) == ["page 0", "r0", "page 1", "r1", "page 2", "r2"]


def test_requests_of_a_priority_that_is_not_admitted_let_the_others_pass() -> None:
    queue = filled(("t", "terminal"), ("b", "backfill"))
    queue.join("page", "terminal")
    queue.admit("terminal", False)
    assert [queue.take(), queue.take(), queue.has_next()] == ["page", "b", False]
    queue.admit("terminal", True)
    assert in_order(queue) == ["t"]


def test_removed_requests_are_handed_back_the_most_urgent_first() -> None:
    queue = filled(("b", "backfill"), ("h", "heal"))
    queue.join("page", "heal")
    assert queue.remove(lambda item: item != "page") == ["h", "b"]
    assert in_order(queue) == ["page"]


steps = st.lists(
    st.one_of(st.tuples(st.integers(1, 6), st.sampled_from(PRIORITIES)), st.just("take")), max_size=60
)


@given(steps, st.sampled_from((1, 2, 3, 4, 8)))
def test_no_request_is_lost_none_waits_twice_and_the_room_is_kept(steps: list[object], room: int) -> None:
    queue: FairPriorityQueue[tuple[int, object]] = FairPriorityQueue(room)
    given_, back = [], []
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            key, priority = step
            given_.append((number, key))
            back += [one for one in queue.put(key, (number, key), priority) if one is not None]
        elif queue.has_next():
            back.append(queue.take())
        assert sum(queue.waiting().values()) <= room
    left = queue.remove(lambda _: True)
    assert sorted([*back, *left]) == given_
    assert len({key for _, key in left}) == len(left)
