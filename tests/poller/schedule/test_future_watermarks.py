"""A watermark that a poller with a wrong clock has put in the future."""

from __future__ import annotations

import pytest

from tests.poller.schedule.progress_fakes import FakeStore, until
from tests.poller.schedule.test_windows import (
    ALL,
    HOUR_US,
    NOW_US,
    FakeReader,
    RecordingMetrics,
    known,
    poller,
)


@pytest.mark.parametrize(
    ("ahead_us", "date_us", "is_set_back"),
    [
        (720 * HOUR_US, NOW_US + 1_000_000, True),
        (720 * HOUR_US, NOW_US - HOUR_US, False),  # who is right of the two clocks?
        (720 * HOUR_US, None, False),
        (500_000_000, NOW_US, False),
    ],
)
async def test_a_watermark_of_the_future_is_set_back_where_two_clocks_disprove_it(
    ahead_us: int, date_us: int | None, is_set_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reader, store, metrics = FakeReader(), FakeStore(known(NOW_US + ahead_us)), RecordingMetrics()
    reader.dates_us = [] if date_us is None else [date_us]
    windows = poller(reader, store, metrics=metrics, interval_s=3600)
    await windows.assign(ALL, 4)
    await until(lambda: len(metrics.windows) == 2)
    await windows.close()
    kept = known(NOW_US if is_set_back else NOW_US + ahead_us)
    assert list(store.records.values()) == store.history == [kept]
    assert ("was in the future" in caplog.text) == is_set_back
