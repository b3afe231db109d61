"""A time range with more rows than the provider returns at once is read in halves, and nothing is missed."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.timestamps import SECOND_US
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.span_reads import read_span
from tests.poller.schedule.backfill_fakes import FakeReader as BackfillReader
from tests.poller.schedule.backfill_fakes import job, run_by_one
from tests.poller.schedule.progress_fakes import FakeStore, account, resource, until
from tests.poller.schedule.test_windows import ALL, NOW_US, FakeReader, poller, since

MOST = 5
SOURCE, FULL_AT = "twilio_alert", 100
FULL = replace(resource(SOURCE), max_rows=MOST)
HOUR_US = 3600 * SECOND_US


class FakeProvider:
    """Has rows at these times, and returns the first MOST of a range, whose ends are both included."""

    def __init__(self, *rows_us: int, now_us: int = HOUR_US) -> None:
        self.rows_us = sorted(rows_us)
        self.now_us = now_us
        self.asked: list[tuple[int, int | None]] = []
        self.returned: set[int] = set()
        self.failing = ""

    async def read(self, url: str) -> ReadResult:
        said = dict(part.split("=") for part in url.partition("?")[2].split("&"))
        since_us, until_us = int(said["since"]), int(said["until"]) if "until" in said else None
        self.asked.append((since_us, until_us))
        if self.failing and len(self.asked) > 1:
            return ReadResult(self.failing, 1, problem="answered badly")
        end_us = self.now_us if until_us is None else until_us
        found = [us for us in self.rows_us if since_us <= us <= end_us][:MOST]
        self.returned.update(found)
        date_us = self.now_us - len(self.asked)
        return ReadResult(
            "success" if found else "empty", len(found), provider_us=date_us, received=len(found)
        )

    async def span(self, since_us: int = 0, until_us: int | None = None) -> ReadResult:
        return await read_span(FULL, account(), since_us, until_us, self.now_us, self.read)


async def test_a_range_that_is_not_full_is_read_once() -> None:
    provider = FakeProvider(1, 2, 3, 4)
    found = await provider.span()
    assert provider.asked == [(0, None)]
    assert (found.outcome, found.rows, found.provider_us) == ("success", 4, HOUR_US - 1)
    assert (await FakeProvider().span()).outcome == "empty"


async def test_a_full_range_is_read_in_halves_the_earlier_first() -> None:
    provider = FakeProvider(*(minute * 60 * SECOND_US for minute in (5, 10, 16, 20, 25, 40)))
    found = await provider.span()
    half, quarter = HOUR_US // 2, HOUR_US // 4
    assert provider.asked == [(0, None), (0, half), (0, quarter), (quarter, half), (half, HOUR_US)]
    assert (found.outcome, found.rows) == ("success", 6)
    assert found.provider_us == HOUR_US - len(provider.asked)


async def test_a_half_that_fails_ends_the_read() -> None:
    provider = FakeProvider(*range(0, HOUR_US, HOUR_US // 10))
    provider.failing = "server_error"
    found = await provider.span()
    assert (found.outcome, found.problem) == ("server_error", "answered badly")
    assert len(provider.asked) == 2


async def test_a_second_that_is_full_is_logged_and_does_not_hold_up_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    provider = FakeProvider(*([10 * SECOND_US + 1] * 9), 3000 * SECOND_US)
    await provider.span()
    assert provider.returned == {10 * SECOND_US + 1, 3000 * SECOND_US}
    assert caplog.messages == [
        "twilio_alert of twilio/default has more than 5 rows in the second 1970-01-01T00:00:10.000000Z: "
        "the provider returns no more of them"
    ]


@given(st.sets(st.integers(0, 40).map(lambda n: n * SECOND_US // 4), max_size=41), st.booleans())
async def test_every_row_is_returned_that_no_full_second_hides(rows_us: set[int], bounded: bool) -> None:
    provider = FakeProvider(*rows_us, now_us=11 * SECOND_US)
    await provider.span(0, 11 * SECOND_US if bounded else None)
    assert provider.returned == rows_us  # a second has four rows at most, with both its ends five


# -- windows and backfills


class FullReader(FakeReader):
    """Ranges from the same start that are longer than `fits_us` are full."""

    def __init__(self, fits_us: int, *outcomes: str) -> None:
        super().__init__(*outcomes)
        self.fits_us = fits_us

    async def read_window(
        self, resource: Resource, account: Account, url: str, priority: str, *, skip_known: bool
    ) -> ReadResult:
        result = await super().read_window(resource, account, url, priority, skip_known=skip_known)
        begin, _, end = url.partition("?since=")[2].partition("&until=")
        length_us = (int(end) if end else NOW_US) - int(begin)
        return result._replace(received=FULL_AT if length_us > self.fits_us else FULL_AT - 1)


async def test_a_resource_may_overlap_less_than_the_settings_say_after_its_first_pass() -> None:
    clock = itertools.count(NOW_US, 1_000_000)
    reader, store = FakeReader(), FakeStore()
    windows = poller(
        reader,
        store,
        resources=(replace(resource(SOURCE), overlap_s=900.0),),
        now_us=lambda: next(clock),
        poll_sources=(SOURCE,),
    )
    await windows.assign(ALL, 4)
    await until(lambda: len(store.history) > 1)
    await windows.close()
    assert reader.urls[:2] == [
        since(NOW_US - HOUR_US, source=SOURCE),
        since(NOW_US - HOUR_US // 4, source=SOURCE),
    ]


async def test_a_full_window_is_read_in_halves_before_its_watermark_moves() -> None:
    reader, store = FullReader(HOUR_US // 2), FakeStore()
    windows = poller(
        reader,
        store,
        resources=(replace(resource(SOURCE), max_rows=FULL_AT),),
        poll_sources=(SOURCE,),
        interval_s=3600,
    )
    await windows.assign(ALL, 4)
    await until(lambda: store.history)
    await windows.close()
    middle_us = NOW_US - HOUR_US // 2
    assert reader.urls == [
        since(NOW_US - HOUR_US, source=SOURCE),
        since(NOW_US - HOUR_US, source=SOURCE) + f"&until={middle_us}",
        since(middle_us, source=SOURCE) + f"&until={NOW_US}",
    ]
    assert len(store.history) == 1


async def test_a_half_that_cannot_be_read_leaves_the_watermark_where_it_was() -> None:
    reader, store = FullReader(HOUR_US // 2, "success", "success", "server_error"), FakeStore()
    windows = poller(
        reader, store, resources=(replace(resource(SOURCE), max_rows=FULL_AT),), poll_sources=(SOURCE,)
    )
    await windows.assign(ALL, 4)
    await until(lambda: store.history)
    await windows.close()
    assert len(reader.urls) >= 6, "the whole window is read again"
    assert reader.urls[3] == reader.urls[0]


async def test_a_full_slice_of_a_backfill_is_read_in_halves() -> None:
    slices = BackfillReader()
    begin_us, middle_us = NOW_US - HOUR_US, NOW_US - HOUR_US // 2
    whole = f"https://api.example.test/{SOURCE}/0?since={begin_us}&until={NOW_US}"
    slices.answers = {whole: [ReadResult("success", FULL_AT, received=FULL_AT)]}
    last, _ = await run_by_one(job(SOURCE, 1), slices)
    assert slices.urls == [
        whole,
        f"https://api.example.test/{SOURCE}/0?since={begin_us}&until={middle_us}",
        f"https://api.example.test/{SOURCE}/0?since={middle_us}&until={NOW_US}",
    ]
    assert (last.state, last.rows) == ("done", 20)
