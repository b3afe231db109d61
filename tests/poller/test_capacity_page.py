"""docs/capacity.md counts requests as the schedules and settings make them."""

from __future__ import annotations

import re

import pytest

from stream.core.sources import RETRY_SCHEDULES, RetrySchedule
from stream.poller.resources import telnyx, twilio
from stream.service.settings import Settings
from tests.tree import ROOT

PAGE = (ROOT / "docs/capacity.md").read_text()


@pytest.mark.parametrize(("source", "schedule"), RETRY_SCHEDULES.items())
def test_a_call_is_read_as_often_as_the_page_says(source: str, schedule: RetrySchedule) -> None:
    least = 2 if schedule.final == "steady" else 1
    assert re.search(rf"^\| `{source}` \| {least} to {len(schedule.after_s)}\b", PAGE, re.MULTILINE)


def test_a_pass_has_as_many_requests_as_the_page_says() -> None:
    defaults = Settings()
    passes = 86_400 / defaults.poll_interval_s
    rows = 100_000 * (defaults.poll_lookback_s + defaults.poll_interval_s) / 86_400
    lists = 2 * -(-rows // twilio.MAX_PAGE_SIZE)
    pages = -(-rows // telnyx.MAX_PAGE_SIZE)
    for count in (passes, rows, lists * passes, pages * passes):
        assert re.search(rf"\b{count:,.0f}\b".replace(",", " "), PAGE), count
