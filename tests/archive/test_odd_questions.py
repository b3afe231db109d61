"""Questions that no row answers: they find nothing, and do not look as if the database were away."""

from __future__ import annotations

import pytest

from stream.archive import cursors
from stream.archive.questions import AlertFilter, BadCursorError, CallFilter
from stream.archive.reader import Archive
from tests.archive.kept import Keeper, replayed, values


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


def test_a_place_that_no_row_has_is_refused(kept: tuple[Keeper, Archive]) -> None:
    _, archive = kept
    with pytest.raises(BadCursorError):
        archive.alerts(AlertFilter(), after=cursors.write(1, "a\0"))
    with pytest.raises(BadCursorError):
        archive.events("twilio:conference:CF1", after=cursors.write(1, "\0"))
