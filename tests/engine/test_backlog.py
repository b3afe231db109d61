"""A lane's order is a function of its records, however they arrive."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from stream.engine.backlog import Backlog, BatchSlice

TOPICS = ("callbacks", "polled", "ticks")


class At(NamedTuple):
    """A record as far as the backlog looks at it."""

    topic: str
    offset: int
    timestamp: int


def records(topic: str, *timestamps: int, first: int = 0) -> list[At]:
    return [At(topic, first + place, timestamp) for place, timestamp in enumerate(timestamps)]


def filled(*chunks: tuple[list[At], float]) -> Backlog:
    backlog = Backlog(TOPICS)
    for chunk, arrived in chunks:
        backlog.add(chunk[0].topic, chunk, chunk[-1].offset + 1, arrived)
    return backlog


def test_records_of_several_topics_come_by_time_stamp_and_then_by_topic() -> None:
    callbacks, polled = records("callbacks", 1, 3, 3, 7), records("polled", 2, 3, 8)
    cut = filled((polled, 0.0), (callbacks, 0.0)).take(100, 1.0)
    assert cut == BatchSlice(
        [callbacks[0], polled[0], callbacks[1], callbacks[2], polled[1], callbacks[3], polled[2]],
        {"callbacks": 4, "polled": 3},
    )


def test_a_topic_s_own_order_is_kept_whatever_its_time_stamps_say() -> None:
    callbacks, polled = records("callbacks", 9, 1, 2), records("polled", 5)
    cut = filled((callbacks, 0.0), (polled, 0.0)).take(100, 1.0)
    assert cut.records == [polled[0], *callbacks]


def test_a_full_batch_leaves_the_rest_and_says_where_it_goes_on() -> None:
    callbacks, polled = records("callbacks", 1, 3, 5, first=10), records("polled", 2, 4, first=70)
    backlog = filled((callbacks, 0.0), (polled, 0.0))
    first = BatchSlice([callbacks[0], polled[0], callbacks[1]], {"callbacks": 12, "polled": 71})
    assert backlog.take(3, 1.0) == first
    assert backlog.size == 2
    assert backlog.take(3, 1.0) == BatchSlice([polled[1], callbacks[2]], {"callbacks": 13, "polled": 72})
    assert backlog.take(3, 1.0) == BatchSlice([], {})


@given(st.integers(1, 6))
def test_the_parts_of_a_batch_end_where_they_should(taken: int) -> None:
    """Each topic's part is committed up to its own last record, or to the chunk's end with the last one."""
    callbacks, polled = records("callbacks", 1, 3, 3, 7), records("polled", 2, 4, 8, first=70)
    backlog = filled((polled, 0.0))
    backlog.add("callbacks", callbacks, 9, 0.0)
    whole = backlog.take(100, 1.0)
    first, others = whole.split(taken)
    assert first.records + others.records == whole.records
    assert first.ends | others.ends == whole.ends == {"callbacks": 9, "polled": 73}
    for part in (first, others):
        assert part.ends.keys() == {record.topic for record in part.records}
    for topic in first.ends.keys() & others.ends.keys():
        assert first.ends[topic] == max(r.offset for r in first.records if r.topic == topic) + 1


def test_a_chunk_ends_behind_what_nobody_is_shown() -> None:
    backlog = Backlog(TOPICS)
    backlog.add("callbacks", records("callbacks", 1, 2), 7, 0.0)
    assert backlog.take(10, 1.0).ends == {"callbacks": 7}


def test_young_records_wait_unless_an_older_one_comes_after_them() -> None:
    young, old = records("polled", 2, 9), records("callbacks", 1, 5)
    backlog = filled((old, 0.0), (young, 2.0))
    assert backlog.take(100, 1.0).records == [old[0], young[0], old[1]]
    assert backlog.take(100, 1.0).records == []
    assert backlog.take(100, 3.0).records == [young[1]]


@given(
    stamps=st.lists(st.lists(st.integers(0, 20), max_size=12), min_size=3, max_size=3),
    chunk_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_chunks_and_limits_do_not_change_the_order(
    stamps: list[list[int]], chunk_sizes: list[int], limits: list[int]
) -> None:
    by_topic = {topic: records(topic, *at) for topic, at in zip(TOPICS, stamps, strict=True)}
    whole = filled(*((part, 0.0) for part in by_topic.values() if part)).take(1000, 1.0)
    pieces = Backlog(TOPICS)
    for topic, part in by_topic.items():
        place, turn = 0, 0
        while place < len(part):
            size = chunk_sizes[turn % len(chunk_sizes)]
            chunk = part[place : place + size]
            pieces.add(topic, chunk, chunk[-1].offset + 1, 0.0)
            place, turn = place + size, turn + 1
    found: list[At] = []
    ends: dict[str, int] = {}
    turn = 0
    while pieces.size:
        cut = pieces.take(limits[turn % len(limits)], 1.0)
        assert len(cut.records) <= limits[turn % len(limits)]
        found += cut.records
        ends.update(cut.ends)
        turn += 1
    assert (found, ends) == (whole.records, whole.ends)


def test_where_a_topic_runs_out_that_has_more_to_be_fetched_the_others_do_not_go_on() -> None:
    callbacks, polled = records("callbacks", 1, 3, 5), records("polled", 2)
    backlog = filled((callbacks, 0.0), (polled, 0.0))
    first = backlog.take(100, 1.0, lambda topic: topic == "polled")
    assert first == BatchSlice([callbacks[0], polled[0]], {"callbacks": 1, "polled": 1})
    assert backlog.take(100, 1.0).records == callbacks[1:]
