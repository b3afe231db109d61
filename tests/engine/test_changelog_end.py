"""What a commit says of its changelog, and where a recovery begins and ends."""

from __future__ import annotations

import pytest

from stream.engine.changelog_end import Committed, Need, Plan, need, plan, read, written

NOTHING = Need(0, False, False)


def test_a_commit_says_how_much_of_the_changelog_its_states_need() -> None:
    assert read(written(1131)) == 1131


@pytest.mark.parametrize(
    "metadata", [None, "", "note", "changelog=", "changelog=-1", "changelog=1 ", "xchangelog=1"]
)
def test_a_commit_of_an_earlier_version_or_of_a_tool_says_nothing(metadata: str | None) -> None:
    assert read(metadata) is None


@pytest.mark.parametrize(
    ("commits", "needed"),
    [
        ([], NOTHING),
        ([None, None], NOTHING),
        ([Committed(5, None), None], Need(0, False, True)),
        ([Committed(5, 600), None], Need(600, False, True)),
        ([Committed(5, 600), Committed(9, None)], Need(600, False, True)),
        ([Committed(5, 600), Committed(9, 1131)], Need(1131, True, True)),
    ],
)
def test_a_lane_needs_what_the_latest_of_its_commits_needs(
    commits: list[Committed | None], needed: Need
) -> None:
    assert need(commits) == needed


@pytest.mark.parametrize(
    ("known", "needed", "begin", "end", "chosen"),
    [
        (None, NOTHING, 0, 0, Plan(0, 0, True)),
        (None, NOTHING, 3, 9, Plan(3, 9, True)),
        (5, NOTHING, 0, 9, Plan(5, 9, False)),
        # A former leader says 600.
        (None, Need(1131, True, True), 0, 600, Plan(0, 1131, True)),
        (1131, Need(1131, True, True), 0, 600, Plan(1131, 1131, False)),
        # It is ahead of the commits: are those states of theirs?
        (1140, Need(1131, True, True), 0, 600, Plan(1131, 1140, False)),
        (1140, Need(1131, True, True), 1135, 1140, Plan(1135, 1140, False)),
        (1140, Need(0, False, True), 0, 600, Plan(1140, 1140, False)),
        # Nothing was ever committed: the store is of another cluster.
        (1140, NOTHING, 0, 600, Plan(0, 600, True)),
        # What the store misses is gone.
        (2, Need(1131, True, True), 3, 1131, Plan(3, 1131, True)),
        (0, NOTHING, 0, 0, Plan(0, 0, False)),
    ],
)
def test_a_store_is_brought_up_to_what_the_commits_need_whatever_the_broker_says(
    known: int | None, needed: Need, begin: int, end: int, chosen: Plan
) -> None:
    assert plan(known, needed, begin, end) == chosen
