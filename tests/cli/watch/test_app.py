"""The live view, by its keys, on a terminal of 80 columns and 24 lines."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from stream.archive.questions import AlertFilter, CallFilter, CallHistory, CallPage, RecordPage
from stream.cli.query.archive_reader import ArchiveCallReader
from stream.cli.query.reader import NoAnswerError
from stream.cli.watch.app import WatchApp
from stream.cli.watch.polling import failures
from stream.cli.watch.screens import CallScreen, ConditionScreen
from tests.cli.query.stored import replayed_whole, stored
from tests.cli.watch.views import FAILED, FixedFigures, first_line, lines, screen, settled, watching

BUSY_CHILD = "twilio:CA00000000000000000000000000000002"


async def test_calls_are_listed_by_verdict_and_enter_opens_the_timeline(tmp_path: Path) -> None:
    async with watching(tmp_path, "child-legs", "spam-block") as pilot:
        assert lines(pilot) == [
            "# open conditions (0)",
            "# callee (1)",
            "10:00:04 busy      twilio:CA0000…000002 +15*******06 → +15*******04 SIP 486…",
            "# spam_block (1)",
            "10:00:00 failed    twilio:CA0000…000001 +15*******06 → +15*******09 SIP 608…",
        ]
        assert first_line(pilot).split() == ["12:00:05", "the", "archive"]
        await pilot.press("enter")
        await settled(pilot)
        assert isinstance(pilot.app.screen, CallScreen)
        assert BUSY_CHILD in screen(pilot)
        assert "callee (high): The called line was busy." in screen(pilot)
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, CallScreen)


async def test_a_leg_that_lost_a_dial_is_listed_only_where_its_outcome_is_asked_for(tmp_path: Path) -> None:
    with stored(tmp_path, "simultaneous-dial") as (_, reader):
        seen = []
        for wanted in (FAILED, failures(CallFilter(outcome=("canceled",)))):
            app = WatchApp(reader, wanted, FixedFigures(), now=lambda: "12:00:05")
            async with app.run_test(size=(80, 24)) as pilot:
                await settled(pilot)
                seen.append(lines(pilot)[1:])
    assert seen == [
        [],
        ["# no fault (1)", "10:00:04 canceled  twilio:CA0000…000003 +15*******06 → +15*******05 SIP 487…"],
    ]


async def test_the_time_of_the_list_is_in_the_zone_of_its_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stored(tmp_path) as (_, reader), monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        app = WatchApp(reader, FAILED, FixedFigures())
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            clock, zone, *_ = first_line(pilot).split()
    time.tzset()
    ago = (datetime.now(UTC) - datetime.strptime(clock, "%H:%M:%S").replace(tzinfo=UTC)) % timedelta(days=1)
    assert (zone, ago < timedelta(minutes=1)) == ("UTC", True)


async def test_up_and_down_choose_and_left_leads_back(tmp_path: Path) -> None:
    async with watching(tmp_path, "child-legs", "spam-block") as pilot:
        await pilot.press("down", "enter")
        await settled(pilot)
        assert "spam_block (high): An analytics engine refused the call." in screen(pilot)
        await pilot.press("left", "up", "enter")
        await settled(pilot)
        assert BUSY_CHILD in screen(pilot)


async def test_a_condition_stands_first_and_leads_to_its_calls(tmp_path: Path) -> None:
    with stored(tmp_path) as (keeper, reader):
        told = replayed_whole("failing-endpoint-that-recovers")
        keeper.keep([one for one in told if one[0] != "alerts" or b'"firing"' in (one[2] or b"")])
        app = WatchApp(reader, FAILED, FixedFigures(), now=lambda: "12:00:05")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            assert lines(pilot)[0] == "# open conditions (1)"
            assert "webhook.failing" in lines(pilot)[1]
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, ConditionScreen)
            shown = screen(pilot)
            assert "webhook.failing, warning, firing" in shown
            assert "10 of an unknown number in 5 min" in shown
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, CallScreen)
            assert "webhook, POST https://app.example.test/answer: 5" in screen(pilot)


async def test_a_filter_keeps_what_has_all_its_words(tmp_path: Path) -> None:
    async with watching(tmp_path, "child-legs", "spam-block") as pilot:
        await pilot.press("slash", *"BUSY 0002", "enter")
        assert "twilio:CA0000…000002" in lines(pilot)[2]
        assert len(lines(pilot)) == 3
        assert "filter: BUSY 0002" in first_line(pilot)
        await pilot.press("escape")
        assert len(lines(pilot)) == 5
        assert not pilot.app.query_one("#filter", Input).has_class("open")


async def test_keys_typed_into_the_filter_are_no_commands(tmp_path: Path) -> None:
    async with watching(tmp_path, "spam-block") as pilot:
        await pilot.press("slash", *"qpv")
        assert pilot.app.query_one("#filter", Input).value == "qpv"
        assert pilot.app.is_running


async def test_keys_of_the_list_do_nothing_above_it(tmp_path: Path) -> None:
    async with watching(tmp_path, "spam-block") as pilot:
        await pilot.press("enter", "slash", "v")
        await settled(pilot)
        assert "/ filter" not in screen(pilot)
        await pilot.press("escape")
        assert lines(pilot)[1] == "# spam_block (1)"
        assert not pilot.app.query_one("#filter", Input).has_class("open")


async def test_by_time_all_failed_calls_are_one_list(tmp_path: Path) -> None:
    async with watching(tmp_path, "child-legs", "spam-block") as pilot:
        await pilot.press("v")
        assert [line[:9] for line in lines(pilot)] == ["# open co", "# failed ", "10:00:04 ", "10:00:00 "]


async def test_paused_nothing_is_read_and_what_is_chosen_stays_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.cli.watch.app.LOOK_EVERY_S", 0.05)
    with stored(tmp_path, "spam-block") as (keeper, reader):
        app = WatchApp(reader, FAILED, FixedFigures(), now=lambda: "12:00:05")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("enter", "escape", "p")
            assert "paused" in first_line(pilot)
            keeper.keep(replayed_whole("child-legs"))
            await pilot.pause(0.3)
            assert len(lines(pilot)) == 3
            await pilot.press("p")
            await pilot.pause(0.3)
            await settled(pilot)
            assert len(lines(pilot)) == 5
            chosen = app.query_one("#items", OptionList).highlighted_option
            assert chosen is not None
            assert chosen.id == "call:twilio:CA00000000000000000000000000000001"


async def test_while_nothing_was_chosen_the_first_item_is_and_again_after_escape(tmp_path: Path) -> None:
    with stored(tmp_path, "spam-block") as (keeper, reader):
        app = WatchApp(reader, FAILED, FixedFigures(), now=lambda: "12:00:05")
        async with app.run_test(size=(80, 24)) as pilot:

            def chosen() -> str | None:
                option = app.query_one("#items", OptionList).highlighted_option
                return option.id if option is not None else None

            await settled(pilot)
            spam_block = chosen()
            keeper.keep(replayed_whole("child-legs"))
            app.look()
            await settled(pilot)
            assert chosen() == f"call:{BUSY_CHILD}"
            await pilot.press("j", "v")
            assert len(lines(pilot)) == 4
            assert chosen() == spam_block
            await pilot.press("escape")
            assert chosen() == f"call:{BUSY_CHILD}"


async def test_a_reader_that_does_not_answer_is_named_and_what_was_read_stays(tmp_path: Path) -> None:
    with stored(tmp_path, "spam-block") as (_, reader):
        flaky = Flaky(reader)
        app = WatchApp(flaky, FAILED, FixedFigures(), now=lambda: "12:00:05")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            flaky.away = True
            app.look()
            await settled(pilot)
            assert "the archive does not answer" in first_line(pilot)
            assert len(lines(pilot)) == 3
            flaky.away = False
            app.look()
            await settled(pilot)
            assert "does not answer" not in first_line(pilot)


async def test_what_providers_sent_is_shown_and_does_nothing(tmp_path: Path) -> None:
    """Neither as Textual's markup nor as an escape sequence."""
    with stored(tmp_path) as (keeper, reader):
        hostile = rb"[bold]x[/]\u001b[2J[@click=app.quit]y[/]"
        keeper.keep(
            (role, key, value and value.replace(b"+15*******06", hostile))
            for role, key, value in replayed_whole("spam-block")
        )
        app = WatchApp(reader, FAILED, FixedFigures(), now=lambda: "12:00:05")
        async with app.run_test(size=(160, 24)) as pilot:
            await settled(pilot)
            assert any("[bold]x[/]\\u001b[2J[@click" in line for line in lines(pilot))
            await pilot.press("enter")
            await settled(pilot)
            assert "[bold]x[/]\\u001b[2J[@click=app.quit]y[/]" in screen(pilot)
            assert "\x1b" not in screen(pilot)


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 50)])
async def test_no_line_is_wider_than_the_terminal(tmp_path: Path, size: tuple[int, int]) -> None:
    async with watching(tmp_path, "child-legs", "client-network-trouble", size=size) as pilot:
        assert max(len(line) for one in lines(pilot) for line in one.split("\n")) <= size[0]
        await pilot.press("enter")
        await settled(pilot)
        assert "The called line was busy." in " ".join(screen(pilot).split()) or size[0] == 40


async def test_q_ends_it_from_every_screen(tmp_path: Path) -> None:
    async with watching(tmp_path, "spam-block") as pilot:
        await pilot.press("enter", "q")
        await pilot.pause()
        assert not pilot.app.is_running


class Flaky:
    """A reader that can be away."""

    def __init__(self, reader: ArchiveCallReader) -> None:
        self._reader = reader
        self.where = reader.where
        self.away = False

    async def calls(self, wanted: CallFilter, limit: int, after: str | None = None) -> CallPage:
        if self.away:
            raise NoAnswerError("the archive does not answer")
        return await self._reader.calls(wanted, limit, after)

    async def call(self, key: str) -> CallHistory | None:
        return await self._reader.call(key)

    async def find(self, part: str, limit: int) -> list[str]:
        return await self._reader.find(part, limit)

    async def alerts(self, wanted: AlertFilter, limit: int, after: str | None = None) -> RecordPage:
        return await self._reader.alerts(wanted, limit, after)

    async def close(self) -> None:
        await self._reader.close()
