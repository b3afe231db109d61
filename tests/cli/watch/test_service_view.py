"""What the live view shows of the service, and where it leads."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.worker import WorkerFailed

from stream.cli.local.service_figures import RoleHealth, ServiceFigures
from stream.cli.watch.app import WatchApp
from tests.cli.query.stored import replayed_whole, stored
from tests.cli.watch.views import FAILED, LINKS, PAGES, FixedFigures, screen, settled, watching

ROLES = ("gateway", "worker", "poller", "archive", "api", "notify")
BUSY = ServiceFigures(
    1234.0, 0.12, 0.25, 7, 43, tuple(RoleHealth(role, True) for role in ROLES), ("many reads wait",)
)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_figures_health_and_reasons_stand_above_the_list_and_addresses_below(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with watching(tmp_path, "child-legs", size=size, figures=BUSY) as pilot:
        shown = screen(pilot).split("\n")
        assert shown[1:5] == [
            " events 1,234/s  latency p50 0.12 s, p99 0.25 s  backlog 7 records, 43 reads",
            " roles gateway ✓  worker ✓  poller ✓  archive ✓  api ✓  notify ✓",
            " ! many reads wait",
            " open conditions (0)",
        ]
        below = [line.split()[1] for line in shown if "http://" in line]
        assert below == [address for _, address in LINKS][: 2 if size[1] == 24 else 6]
        assert all(key in shown[-1] for key in ("filter", "pause", "page", "addresses", "quit"))
        await pilot.press("a")
        await settled(pilot)
        assert all(address in screen(pilot) for _, address in LINKS)


async def test_figures_go_on_while_the_list_is_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.cli.watch.app.LOOK_EVERY_S", 0.05)
    with stored(tmp_path) as (_, reader):
        source = FixedFigures()
        app = WatchApp(reader, FAILED, source, now=lambda: "12:00:05")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            assert " events –/s" in screen(pilot)
            await pilot.press("p")
            source.figures = BUSY
            await pilot.pause(0.3)
            await settled(pilot)
            assert " events 1,234/s" in screen(pilot)


async def test_the_newest_notes_are_shown_and_kept(tmp_path: Path) -> None:
    async with watching(tmp_path, "child-legs") as pilot:
        assert isinstance(pilot.app, WatchApp)
        for number in range(6):
            pilot.app.note(f"the worker ended {number} times")
        await pilot.pause()
        noted = [line for line in screen(pilot).split("\n") if line.startswith(" ! ")]
        assert noted == [f" ! the worker ended {number} times" for number in range(2, 6)]
        assert [*pilot.app.notes] == [line[3:] for line in noted]


async def test_o_shows_the_page_of_the_chosen_call_on_every_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("stream.cli.watch.app.open_in_browser", lambda address: bool(opened.append(address)))
    async with watching(tmp_path, "child-legs", "spam-block") as pilot:
        page = f"{PAGES}/ui/calls/twilio%3ACA00000000000000000000000000000002"
        await pilot.press("o")
        await settled(pilot)
        assert page in screen(pilot)
        await pilot.press("escape", "enter", "o")
        await settled(pilot)
        assert page in screen(pilot)
        assert opened == [page, page]


async def test_a_condition_leads_to_the_page_that_its_alert_names(tmp_path: Path) -> None:
    with stored(tmp_path) as (keeper, reader):
        told = replayed_whole("failing-endpoint-that-recovers")
        keeper.keep([one for one in told if one[0] != "alerts" or b'"firing"' in (one[2] or b"")])
        app = WatchApp(reader, FAILED, FixedFigures(), now=lambda: "12:00:05", ui_url=PAGES)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("o")
            await settled(pilot)
            assert f"{PAGES}/ui/calls/twilio%3ACA" in screen(pilot)
            await pilot.press("escape", "enter")
            await settled(pilot)
            await pilot.press("o")
            await settled(pilot)
            assert f"{PAGES}/ui/calls/twilio%3ACA" in screen(pilot)


async def test_calls_are_links_to_their_pages(tmp_path: Path) -> None:
    async with watching(tmp_path, "spam-block") as pilot:
        strips = pilot.app.screen._compositor.render_strips()
        links = {segment.style.link for strip in strips for segment in strip if segment.style is not None}
        assert f"{PAGES}/ui/calls/twilio%3ACA00000000000000000000000000000001" in links


async def test_without_a_page_o_says_what_to_set(tmp_path: Path) -> None:
    with stored(tmp_path, "spam-block") as (_, reader):
        app = WatchApp(reader, FAILED, FixedFigures(), now=lambda: "12:00:05")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("o")
            await settled(pilot)
            assert "CALLSTREAM_UI_URL" in screen(pilot)


async def test_ctrl_c_ends_it_also_while_a_filter_is_typed(tmp_path: Path) -> None:
    async with watching(tmp_path, "spam-block") as pilot:
        await pilot.press("slash", "x", "ctrl+c")
        await pilot.pause()
        assert not pilot.app.is_running


async def test_an_error_of_the_view_is_shown_without_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(FixedFigures):
        async def look(self) -> ServiceFigures:
            number = "+14155550123"
            raise KeyError(number)

    with stored(tmp_path, "spam-block") as (_, reader):
        app = WatchApp(reader, FAILED, Broken(), now=lambda: "12:00:05")
        with pytest.raises(WorkerFailed):
            async with app.run_test(size=(80, 24)) as pilot:
                await pilot.pause()
    shown = "".join(capsys.readouterr())
    assert app.return_code == 1
    assert "KeyError" in shown
    assert "+1415" not in shown
