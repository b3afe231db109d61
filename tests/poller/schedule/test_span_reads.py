"""A time range with more rows than the provider returns at once is read in halves, and nothing is missed."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.timestamps import SECOND_US
from stream.poller.pages.paged_read import ReadResult
from stream.poller.schedule.span_reads import read_span
from tests.poller.schedule.progress_fakes import account, resource

MOST = 5
FULL = replace(resource("twilio_alert"), max_rows=MOST)
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
