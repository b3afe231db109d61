"""Questions that no row answers: they find nothing, and do not look as if the database were away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from stream.archive import cursors
from stream.archive.questions import AlertFilter, BadCursorError, CallFilter
from stream.archive.reader import Archive
from tests.archive.kept import Keeper, replayed, values

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def test_a_text_with_the_character_0_finds_what_was_stored_for_it(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep(
        (role, key, value and value.replace(b"CA0000", b"CA\\u00000")) for role, key, value in replayed("amd")
    )
    [key] = {one["key"] for one in values(replayed("amd"), "events")}
    asked = key.replace("CA0000", "CA\0" + "0")
    [call] = archive.calls(CallFilter()).items
    assert call.key == asked.replace("\0", "\ufffd")
    history = archive.call(asked)
    assert history is not None
    assert history.events
    assert archive.find(asked) == [call.key]
    assert archive.call("twilio:\0", frozenset({"AC\0"})) is None
    assert archive.events("twilio:conference:\0") is None
    for wanted in (
        CallFilter(accounts=frozenset({"AC\0"})),
        CallFilter(number="\0", status=("\0", "b")),
        CallFilter(parent_call_id="\0", session_id="\0", error_code="\0"),
    ):
        assert archive.calls(wanted).items == []
        assert archive.placed_calls(wanted, 10).items == []
    assert archive.alerts(AlertFilter(key="\0", rule="\0")).items == []


@pytest.mark.parametrize(
    ("part", "is_looked_for"),
    [
        ("CA" + "0" * 32, False),
        ("twilio:CA" + "0" * 32, False),
        ("telnyx:2dc6fc34-f9e0-11ea-b68e-02420a0f7768", False),
        ("CA" + "0" * 31, True),
        ("ca" + "0" * 32, True),
        ("2dc6fc34-f9e0-11ea-b68e-02420a0f776", True),
    ],
)
def test_a_whole_id_that_no_call_has_is_not_looked_for_in_all_of_them(
    kept: tuple[Keeper, Archive], part: str, is_looked_for: bool
) -> None:
    """In an archive of some million calls that took longer than a question may."""
    archive, asked = kept[1], list[str]()
    event.listen(archive._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert archive.find(part) == []
    assert any("LIKE" in one for one in asked) == is_looked_for


def test_a_place_that_no_row_has_is_refused(kept: tuple[Keeper, Archive]) -> None:
    _, archive = kept
    with pytest.raises(BadCursorError):
        archive.alerts(AlertFilter(), after=cursors.write(1, "a\0"))
    with pytest.raises(BadCursorError):
        archive.events("twilio:conference:CF1", after=cursors.write(1, "\0"))


@pytest.mark.parametrize("until", [FIRST, FIRST + timedelta(days=6), datetime(1970, 1, 3, tzinfo=UTC), LAST])
@pytest.mark.parametrize("since", [FIRST, None, LAST])
def test_no_moment_is_too_far_away_to_count_calls(
    kept: tuple[Keeper, Archive], since: datetime | None, until: datetime
) -> None:
    assert kept[1].calls_by_minute(CallFilter(since=since, until=until)) == []


def test_calls_are_counted_of_the_last_seven_days(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep(replayed("amd"))
    began = datetime(2026, 3, 2, 10, 0, 0, tzinfo=UTC)
    in_time, late = began + timedelta(days=7), began + timedelta(days=7, microseconds=1)
    for since in (None, FIRST, began):
        assert len(archive.calls_by_minute(CallFilter(since=since, until=in_time))) == 1
        assert archive.calls_by_minute(CallFilter(since=since, until=late)) == []
