"""The live view on an archive of recorded traffic, and what of it a person sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from stream.archive.questions import CallFilter
from stream.cli.local.service_figures import ServiceFigures
from stream.cli.watch.app import WatchApp
from stream.cli.watch.polling import failures
from tests.cli.query.stored import stored

UNKNOWN = ServiceFigures()
FAILED = failures(CallFilter())


PAGES = "https://calls.test"
LINKS = [(name, f"http://127.0.0.1/{name}") for name in ("page", "webhooks", *"abcdefgh")]


@asynccontextmanager
async def watching(
    folder: Path, *traces: str, size: tuple[int, int] = (80, 24), figures: ServiceFigures = UNKNOWN
) -> AsyncIterator[Pilot[None]]:
    with stored(folder, *traces) as (_, reader):
        source = FixedFigures(figures)
        app = WatchApp(reader, FAILED, source, now=lambda: "12:00:05", ui_url=PAGES, links=LINKS)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            yield pilot


async def settled(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def lines(pilot: Pilot[None]) -> list[str]:
    """The list's lines; a section's heading begins with `#`."""
    items = pilot.app.screen_stack[0].query_one("#items", OptionList)
    return [("# " if one.disabled else "") + str(one.prompt) for one in items.options]


def first_line(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen_stack[0].query_one("#state", Static).content)


def screen(pilot: Pilot[None]) -> str:
    """All that is on the screen, as text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


class FixedFigures:
    """Figures that do not change."""

    def __init__(self, figures: ServiceFigures = UNKNOWN) -> None:
        self.figures = figures

    async def look(self) -> ServiceFigures:
        return self.figures

    async def close(self) -> None: ...
