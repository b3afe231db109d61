"""The memory of a view that is open for hours."""

from __future__ import annotations

import gc
from pathlib import Path

import msgspec
from textual.widgets.option_list import Option

from stream.archive.questions import AlertFilter, CallFilter, CallHistory, CallPage, RecordPage, StoredCall
from stream.cli.local.service_figures import ServiceFigures
from stream.cli.watch.app import MOST_NOTES, WatchApp
from stream.cli.watch.items import WatchItem
from tests.cli.query.stored import stored
from tests.cli.watch.views import FAILED, FixedFigures, settled

LOOKS = 5


class EverNewCalls:
    """200 failed calls in each look that were not in the one before."""

    where = "a test"

    def __init__(self, one: StoredCall) -> None:
        self._one = one
        self._number = 0

    async def calls(self, wanted: CallFilter, limit: int, after: str | None = None) -> CallPage:
        self._number += limit
        keys = [f"twilio:CA{number:032x}" for number in range(self._number, self._number + limit)]
        return CallPage([msgspec.structs.replace(self._one, key=key) for key in keys], None)

    async def alerts(self, wanted: AlertFilter, limit: int, after: str | None = None) -> RecordPage:
        return RecordPage([], None)

    async def call(self, key: str) -> CallHistory | None: ...

    async def find(self, part: str, limit: int) -> list[str]:
        return []

    async def close(self) -> None: ...


class EverNewFigures(FixedFigures):
    async def look(self) -> ServiceFigures:
        before = self.figures.events_per_s or 0.0
        self.figures = ServiceFigures(before + 1, reasons=(f"reason {before}",))
        return self.figures


def alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


async def test_nothing_of_former_looks_is_kept(tmp_path: Path) -> None:
    with stored(tmp_path, "spam-block") as (_, reader):
        one = (await reader.calls(FAILED, 1)).items[0]
        app = WatchApp(EverNewCalls(one), FAILED, EverNewFigures(), ui_url="https://calls.test")
        async with app.run_test(size=(140, 40)) as pilot:
            await pilot.press("v")
            for number in range(LOOKS):
                app.note(f"the worker ended, for the {number}th time")
                app.look()
                app.look_at_figures()
                await settled(pilot)
            kept = {kind: alive(kind) for kind in (StoredCall, WatchItem, Option)}
    assert all(200 <= number < 400 for number in kept.values()), kept
    assert len(app.notes) == MOST_NOTES
