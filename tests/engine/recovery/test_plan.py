"""Where a recovery begins and ends."""

from __future__ import annotations

import pytest

from stream.engine.recovery.plan import ChangelogPart, Need, need
from stream.kafka.transactional_producer import CommittedOffset

NOTHING = Need(0, False, False)


@pytest.mark.parametrize(
    ("commits", "needed"),
    [
        ([], NOTHING),
        ([None, None], NOTHING),
        ([CommittedOffset(5, None), None], Need(0, False, True)),
        ([CommittedOffset(5, 600), None], Need(600, False, True)),
        ([CommittedOffset(5, 600), CommittedOffset(9, None)], Need(600, False, True)),
        ([CommittedOffset(5, 600), CommittedOffset(9, 1131)], Need(1131, True, True)),
    ],
)
def test_a_lane_needs_what_the_latest_of_its_commits_needs(
    commits: list[CommittedOffset | None], needed: Need
) -> None:
    assert need(commits) == needed


@pytest.mark.parametrize(
    ("known", "needed", "begin", "end", "chosen"),
    [
        (None, NOTHING, 0, 0, (0, 0, True)),
        (None, NOTHING, 3, 9, (3, 9, True)),
        (5, NOTHING, 0, 9, (5, 9, False)),
        # A former leader says 600.
        (None, Need(1131, True, True), 0, 600, (0, 1131, True)),
        (1131, Need(1131, True, True), 0, 600, (1131, 1131, False)),
        # It is ahead of the commits: are those states of theirs?
        (1140, Need(1131, True, True), 0, 600, (1131, 1140, False)),
        (1140, Need(1131, True, True), 1135, 1140, (1135, 1140, False)),
        (1140, Need(0, False, True), 0, 600, (1140, 1140, False)),
        # Nothing was ever committed: the store is of another cluster.
        (1140, NOTHING, 0, 600, (0, 600, True)),
        # What the store misses is gone.
        (2, Need(1131, True, True), 3, 1131, (3, 1131, True)),
        (0, NOTHING, 0, 0, (0, 0, False)),
    ],
)
def test_a_store_is_brought_up_to_what_the_commits_need_whatever_the_broker_says(
    known: int | None, needed: Need, begin: int, end: int, chosen: tuple[int, int, bool]
) -> None:
    made = ChangelogPart(known, needed, begin, end, 0.0)
    assert (made.at, made.until, made.anew, made.seen) == (*chosen, end)


def part(at: int = 0, until: int = 600, least: int = 600) -> ChangelogPart:
    return ChangelogPart(None, Need(least, True, True), at, until, 0.0)


def test_commits_that_are_asked_for_again_may_need_more_than_the_broker_has() -> None:
    """The coordinator was behind at first, and the leader still is."""
    reading = part(least=500)
    reading.last = 550
    reading.read_to(600, 1.0)
    assert (reading.beyond, reading.reached) == (True, False)
    assert not reading.asked_again(Need(1131, True, True), 0, 600, 2.0)
    assert (reading.beyond, reading.until, reading.seen, reading.reached) == (False, 1131, 600, False)
    assert not reading.asked_again(Need(1131, True, True), 0, 1131, 3.0)
    reading.read_to(1131, 4.0)
    assert reading.reached


def test_a_beginning_above_the_position_is_believed_when_it_is_said_twice_in_a_row() -> None:
    reading = part(at=10)
    needed = reading.needed
    told = [reading.asked_again(needed, begin, 600, 1.0) for begin in (50, 0, 50, 50)]
    assert (told, reading.at) == ([False, False, False, True], 50)


def test_a_position_never_moves_back() -> None:
    reading = part(at=10)
    reading.read_to(7, 1.0)
    assert (reading.at, reading.moved) == (10, 0.0)
