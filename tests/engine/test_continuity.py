"""No step backwards of a source is believed, and no hole without its reason."""

from __future__ import annotations

from stream.engine.source_reader import FIRST_REST_S, LONGEST_REST_S, Continuity
from stream.kafka.partitions import TopicPartition

HERE = TopicPartition("callbacks", 3)


def at(expected: int) -> Continuity:
    continuity = Continuity()
    continuity.begin({HERE: expected})
    return continuity


def test_what_follows_is_taken_and_says_where_it_began() -> None:
    continuity = at(500)
    assert continuity.follows(HERE, 500, 0.0)
    assert continuity.took(HERE, 510) == 500
    assert continuity.follows(HERE, 510, 0.0)


def test_a_step_backwards_is_never_believed_however_often_it_is_told() -> None:
    continuity = at(500)
    assert [continuity.follows(HERE, 0, float(turn)) for turn in range(20)] == [False] * 20
    assert continuity.expected[HERE] == 500


def test_after_a_step_backwards_the_partition_rests_longer_and_longer_up_to_a_limit() -> None:
    continuity = at(500)
    continuity.follows(HERE, 0, 0.0)
    assert not continuity.may_fetch(HERE, FIRST_REST_S - 0.01)
    assert continuity.may_fetch(HERE, FIRST_REST_S)
    for _ in range(20):
        continuity.follows(HERE, 0, 100.0)
    assert not continuity.may_fetch(HERE, 100.0 + LONGEST_REST_S - 0.01)
    assert continuity.may_fetch(HERE, 100.0 + LONGEST_REST_S)


def test_what_follows_after_all_ends_the_rests() -> None:
    continuity = at(500)
    for _ in range(20):
        continuity.follows(HERE, 0, 0.0)
    continuity.took(HERE, 510)
    continuity.follows(HERE, 0, 10.0)
    assert continuity.may_fetch(HERE, 10.0 + FIRST_REST_S)


def test_a_hole_is_believed_only_when_a_fetch_from_its_beginning_leaves_it_again() -> None:
    continuity = at(500)
    assert not continuity.follows(HERE, 503, 0.0)
    assert continuity.follows(HERE, 503, 0.0)
    assert continuity.took(HERE, 510) == 500


def test_another_hole_is_asked_for_again_too() -> None:
    continuity = at(500)
    continuity.follows(HERE, 503, 0.0)
    continuity.follows(HERE, 503, 0.0)
    continuity.took(HERE, 510)
    assert not continuity.follows(HERE, 512, 0.0)


def test_a_refused_offset_is_gone_only_when_the_log_twice_in_a_row_begins_above_it() -> None:
    continuity = at(500)
    assert not continuity.expired(HERE, 500, 700)
    assert not continuity.expired(HERE, 500, 0)
    assert not continuity.expired(HERE, 500, 700)
    assert continuity.expired(HERE, 500, 700)
    assert continuity.follows(HERE, 700, 0.0)
    assert continuity.took(HERE, 710) == 500


def test_a_refused_offset_that_a_short_log_does_not_reach_is_not_gone() -> None:
    continuity = at(500)
    assert [continuity.expired(HERE, 500, 0) for _ in range(20)] == [False] * 20
    assert [continuity.expired(HERE, 500, 500) for _ in range(20)] == [False] * 20


def test_a_new_assignment_begins_anew() -> None:
    continuity = at(500)
    continuity.follows(HERE, 0, 0.0)
    continuity.follows(HERE, 503, 0.0)
    continuity.begin({HERE: 500})
    assert continuity.may_fetch(HERE, 0.0)
    assert not continuity.follows(HERE, 503, 0.0)
