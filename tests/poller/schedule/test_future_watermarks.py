"""What a poller with a clock that is ahead does to the watermark."""

from __future__ import annotations

import pytest

from tests.poller.schedule.progress_fakes import FakeStore, resource, until
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
        (700_000_000, NOW_US + 200_000_000, False),
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


async def test_where_the_time_before_the_pass_cannot_be_read_the_watermark_stays() -> None:
    reader = FakeReader("success", "server_error", halt_at=3)
    reader.dates_us = [NOW_US]
    store = FakeStore(known(NOW_US - 3 * HOUR_US))
    before = dict(store.records)
    day_only = resource("twilio_call", max_lookback_s=86_400)
    windows = poller(reader, store, resources=(day_only,), now_us=lambda: NOW_US + 25 * HOUR_US)
    await windows.assign(ALL, 4)
    await until(lambda: len(reader.asked) == 3)
    await windows.close()
    assert (store.records, store.history) == (before, [])
