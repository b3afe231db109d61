"""A partition's states and the changelog offset that they are right up to change together."""

from __future__ import annotations

from stream.engine.states import DictStates


def filled() -> DictStates:
    states = DictStates()
    states.write(3, {b"a": b"1", b"b": b"2"}, 7)
    states.write(4, {b"c": b"3"}, 9)
    return states


def test_what_is_written_shows_in_its_partition_alone() -> None:
    states = filled()
    assert (dict(states.items(3)), states.position(3), states.count(3)) == ({b"a": b"1", b"b": b"2"}, 7, 2)
    assert (dict(states.items(4)), states.position(4), states.count(4)) == ({b"c": b"3"}, 9, 1)
    assert (list(states.items(5)), states.position(5), states.count(5)) == ([], None, 0)


def test_a_tombstone_removes_a_state() -> None:
    states = filled()
    states.write(3, {b"a": None, b"never": None, b"d": b"4"}, 12)
    assert (dict(states.items(3)), states.position(3)) == ({b"b": b"2", b"d": b"4"}, 12)


def test_a_reader_sees_what_is_written_later_also_after_a_clear() -> None:
    states = filled()
    get = states.reader(3)
    states.clear(3)
    assert (get(b"a"), states.position(3), states.count(3)) == (None, None, 0)
    states.write(3, {b"a": b"5"}, 1)
    assert get(b"a") == b"5"


def test_a_partition_that_was_revoked_is_forgotten_with_its_position() -> None:
    states = filled()
    states.drop(3)
    states.drop(17)
    assert (list(states.items(3)), states.position(3)) == ([], None)
    assert states.position(4) == 9
