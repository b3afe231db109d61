"""Windows are read again and again, each by one poller, and only a successful pass moves a watermark."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stream.core.timestamps import utc
from stream.kafka.partitions import partition_of
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.progress import Watermark, window_key
from stream.poller.schedule.windows import Windows, windows_of
from stream.service.settings import Settings
from tests.poller.schedule.progress_fakes import FakeStore, account, resource, resource_of_calls, until

NOW_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
SOURCES = ("twilio_call", "telnyx_call_event", "telnyx_webhook_delivery")
ALL = {0, 1, 2, 3}


class FakeReader:
    """Answers with `outcomes`, then with success; records the reads. At `halt_at` it waits."""

    def __init__(self, *outcomes: str | Exception, halt_at: int = 0) -> None:
        self._halt_at = halt_at
        self.outcomes = list(outcomes)
        self.dates_us: list[int] = []
        self.skip_known: set[bool] = set()
        self.asked: list[tuple[str, str, str, str]] = []
        self.at_once = self.most_at_once = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def read_window(
        self, resource: Resource, account: Account, url: str, priority: str, *, skip_known: bool
    ) -> ReadResult:
        self.skip_known.add(skip_known)
        self.asked.append((resource.source, account.id, url, priority))
        if len(self.asked) == self._halt_at:
            self.may_answer.clear()
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.may_answer.wait()
            outcome = self.outcomes.pop(0) if self.outcomes else "success"
            if isinstance(outcome, Exception):
                raise outcome
            return ReadResult(
                outcome,
                3,
                problem="" if outcome == "success" else "answered badly",
                provider_us=self.dates_us.pop(0) if self.dates_us else None,
            )
        finally:
            self.at_once -= 1

    @property
    def urls(self) -> list[str]:
        return [url for _, _, url, _ in self.asked]


class RecordingMetrics:
    def __init__(self) -> None:
        self.windows: list[tuple[str, str, float, float]] = []

    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None:
        self.windows.append((source, alias, read_at_s, watermark_s))


def poller(
    reader: FakeReader,
    store: FakeStore,
    *,
    metrics: RecordingMetrics | None = None,
    accounts: tuple[Account, ...] = (account(),),
    resources: tuple[Resource, ...] = (resource("twilio_call"),),
    now_us: Callable[[], int] = lambda: NOW_US,
    interval_s: float = 0.001,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    **settings: Any,
) -> Windows:
    return Windows(
        Settings(poll_interval_s=interval_s, **settings),
        accounts,
        {one.source: one for one in resources},
        store=store,  # type: ignore[arg-type]
        reader=reader,  # type: ignore[arg-type]
        metrics=metrics or RecordingMetrics(),  # type: ignore[arg-type]
        by="one",
        now_us=now_us,
        sleep=sleep,
    )


def known(us: int, read_at_us: int = NOW_US, by: str = "one", source: str = "twilio_call") -> Watermark:
    return Watermark(source=source, account="AC1", watermark=utc(us), read_at=utc(read_at_us), by=by)


def since(us: int, number: int = 0, source: str = "twilio_call") -> str:
    return f"https://api.example.test/{source}/{number}?since={us}"


async def test_a_window_is_read_at_once_with_all_its_urls_and_its_watermark_is_the_start_of_the_pass() -> (
    None
):
    clock = itertools.count(NOW_US, 1_000_000)
    reader, store, metrics = FakeReader(), FakeStore(), RecordingMetrics()
    reader.dates_us = [NOW_US + 60_000_000, NOW_US + 61_000_000]  # a clock ahead of ours changes nothing
    windows = poller(
        reader,
        store,
        metrics=metrics,
        resources=(resource("twilio_call", urls=2),),
        now_us=lambda: next(clock),
        interval_s=3600,
    )
    await windows.assign(ALL, 4)
    await until(lambda: metrics.windows)
    await windows.close()
    assert reader.asked == [
        ("twilio_call", "AC1", since(NOW_US - HOUR_US, number), "freshness") for number in (0, 1)
    ]
    assert reader.skip_known == {True}
    assert store.history == [known(NOW_US, NOW_US + 1_000_000)]
    assert metrics.windows == [("twilio_call", "default", NOW_US / 1e6 + 1, NOW_US / 1e6)]


async def test_each_pass_starts_at_the_last_watermark_less_the_lookback() -> None:
    reader, store, clock = FakeReader(), FakeStore(), itertools.count(NOW_US, 1_000_000)
    reader.dates_us = [NOW_US, 0, NOW_US - 8760 * HOUR_US]  # as of a proxy without a clock: not believed
    windows = poller(reader, store, now_us=lambda: next(clock), poll_lookback_s=10)
    await windows.assign(ALL, 4)
    await until(lambda: len(store.history) >= 4)
    await windows.close()
    # A pass reads the clock twice: at its start, and when its watermark is saved.
    beginnings = [NOW_US + 2_000_000 * number for number in range(4)]
    assert reader.urls[:4] == [since(us - 10_000_000) for us in (NOW_US, *beginnings[:3])]
    assert [one.watermark_us for one in store.history[:4]] == beginnings


async def test_a_poller_whose_clock_is_a_day_ahead_loses_no_time(caplog: pytest.LogCaptureFixture) -> None:
    """By its clock the provider keeps the future only. By the provider's own, there is more to read."""
    reader, store = FakeReader(), FakeStore(known(NOW_US - 3 * HOUR_US))
    reader.dates_us = [NOW_US + 3_000_000, NOW_US + 1_000_000, *[NOW_US + 60_000_000] * 6]
    day_only = resource("twilio_call", urls=2, max_lookback_s=86_400)
    windows = poller(reader, store, resources=(day_only,), now_us=lambda: NOW_US + 25 * HOUR_US)
    await windows.assign(ALL, 4)
    await until(lambda: len(store.history) >= 2)
    await windows.close()
    assert [one.watermark_us for one in store.history[:2]] == [NOW_US + 1_000_000, NOW_US + 60_000_000]
    future = NOW_US + HOUR_US
    assert reader.urls[:8] == [
        since(us, number) + end
        for start_us in (NOW_US - 4 * HOUR_US, NOW_US + 1_000_000 - HOUR_US)
        for us, end in ((future, ""), (start_us, f"&until={future}"))
        for number in (0, 1)
    ]
    assert "lost" not in caplog.text


async def test_a_new_owner_resumes_at_the_watermark_and_reports_it_at_once() -> None:
    reader, metrics = FakeReader(), RecordingMetrics()
    store = FakeStore(known(NOW_US - 5 * HOUR_US, NOW_US - 4 * HOUR_US, by="other"))
    reader.may_answer.clear()
    windows = poller(reader, store, metrics=metrics)
    await windows.assign(ALL, 4)
    await until(lambda: reader.asked)
    await windows.close()
    assert reader.urls == [since(NOW_US - 6 * HOUR_US)]
    assert metrics.windows == [
        ("twilio_call", "default", (NOW_US - 4 * HOUR_US) / 1e6, (NOW_US - 5 * HOUR_US) / 1e6)
    ]


@pytest.mark.parametrize(
    "outcome", ["server_error", "throttled", "auth_error", "rubbish", "not_found", RuntimeError("a bug")]
)
async def test_a_failed_pass_leaves_the_watermark_unchanged_and_the_same_time_is_read_again(
    outcome: str | Exception,
) -> None:
    clock = itertools.count(NOW_US, 1_000_000)
    reader, store = FakeReader("success", outcome, halt_at=3), FakeStore(known(NOW_US - HOUR_US))
    before = dict(store.records)
    windows = poller(reader, store, resources=(resource("twilio_call", urls=2),), now_us=lambda: next(clock))
    await windows.assign(ALL, 4)
    await until(lambda: len(reader.asked) == 3)
    assert store.records == before
    reader.may_answer.set()
    await until(lambda: store.history)
    await windows.close()
    again = [since(NOW_US - 2 * HOUR_US, number) for number in (0, 1)]
    assert reader.urls[:4] == again * 2


async def test_a_pass_whose_watermark_was_not_saved_is_read_again() -> None:
    reader, store, metrics = FakeReader(), FakeStore(known(NOW_US - HOUR_US)), RecordingMetrics()
    store.refuse = 2
    windows = poller(reader, store, metrics=metrics)
    await windows.assign(ALL, 4)
    await until(lambda: store.history)
    await windows.close()
    assert reader.urls[:3] == [since(NOW_US - 2 * HOUR_US)] * 3
    assert metrics.windows[:2] == [
        ("twilio_call", "default", NOW_US / 1e6, (NOW_US - HOUR_US) / 1e6),
        ("twilio_call", "default", NOW_US / 1e6, NOW_US / 1e6),
    ]


async def test_passes_longer_than_the_interval_never_overlap() -> None:
    reader, store = FakeReader(), FakeStore()
    windows = poller(reader, store)
    for _ in range(5):
        reader.may_answer.clear()
        await windows.assign(ALL, 4)
        await until(lambda: reader.at_once)
        await asyncio.sleep(0.02)
        passes = len(reader.asked)
        reader.may_answer.set()
        await until(lambda: len(reader.asked) > passes)  # noqa: B023 - awaited in this round
    await windows.close()
    assert reader.most_at_once == 1
    assert reader.at_once == 0


async def test_a_failing_window_is_read_less_often() -> None:
    reader, store = FakeReader(*["server_error"] * 4), FakeStore()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    windows = poller(reader, store, interval_s=60, sleep=sleep)
    await windows.assign(ALL, 4)
    await until(lambda: len(slept) >= 6)
    await windows.close()
    for wait, paused in zip(slept, [120, 240, 480, 600, 60, 60], strict=False):
        assert paused - 20 < wait <= paused * 1.1


async def test_an_outage_is_logged_when_it_starts_changes_and_ends_without_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="callstream.poller.windows")
    reader, store = FakeReader(*["throttled"] * 3, *["auth_error"] * 2), FakeStore()
    windows = poller(reader, store)
    await windows.assign(ALL, 4)
    await until(lambda: len(store.history) > 2)
    await windows.close()
    what = "the window of twilio_call of twilio/default"
    assert caplog.messages == [
        f"{what} cannot be read to its end: throttled (answered badly)",
        f"{what} cannot be read to its end: auth_error (answered badly)",
        f"{what} is read again",
    ]


async def test_lost_time_is_logged_once_without_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = "telnyx_call_event"
    reader, store = FakeReader("server_error"), FakeStore(known(NOW_US - 30 * HOUR_US, source=source))
    windows = poller(
        reader,
        store,
        accounts=(account(provider="telnyx"),),
        resources=(resource(source, max_lookback_s=86_400),),
    )
    await windows.assign(ALL, 4)
    await until(lambda: len(store.history) > 2)
    await windows.close()
    assert reader.urls[:3] == [since(NOW_US - us, source=source) for us in (24 * HOUR_US,) * 2 + (HOUR_US,)]
    assert [one for one in caplog.messages if "lost" in one] == [
        f"the window of {source} of telnyx/default has lost the time from {utc(NOW_US - 30 * HOUR_US)} to "
        f"{utc(NOW_US - 24 * HOUR_US)}: the provider does not return rows that old"
    ]


async def test_no_window_is_read_before_the_store_is_loaded() -> None:
    reader, store = FakeReader(), FakeStore(ready=False)
    windows = poller(reader, store)
    await windows.assign(ALL, 4)
    await asyncio.sleep(0.02)
    assert reader.asked == []
    store.records[window_key("twilio_call", "AC1")] = known(NOW_US - 5 * HOUR_US)
    store.open()
    await until(lambda: reader.asked)
    await windows.close()
    assert reader.urls[0] == since(NOW_US - 6 * HOUR_US)


async def test_each_window_is_read_by_one_of_two_pollers() -> None:
    accounts = tuple(account(f"AC{number}") for number in range(20))
    one, other = FakeReader(), FakeReader()
    pollers = [poller(each, FakeStore(), accounts=accounts, interval_s=3600) for each in (one, other)]
    await pollers[0].assign({0, 1}, 4)
    await pollers[1].assign({2, 3}, 4)
    await until(lambda: len(one.asked) + len(other.asked) >= 20)
    for each in pollers:
        await each.close()
    mine = {each.id for each in accounts if partition_of(each.key, 4) < 2}
    assert {id_ for _, id_, _, _ in one.asked} == mine
    assert sorted(id_ for _, id_, _, _ in one.asked + other.asked) == sorted(each.id for each in accounts)


async def test_a_revoked_window_stops_and_a_kept_one_continues_undisturbed() -> None:
    accounts = tuple(account(f"AC{number}") for number in range(20))
    reader = FakeReader()
    reader.may_answer.clear()
    windows = poller(reader, FakeStore(), accounts=accounts, interval_s=3600)
    await windows.assign(ALL, 4)
    await until(lambda: reader.at_once == 20)
    await windows.assign({0}, 4)
    kept = sum(partition_of(each.key, 4) == 0 for each in accounts)
    assert 0 < kept < 20
    assert reader.at_once == kept
    await asyncio.sleep(0.01)
    assert len(reader.asked) == 20, "a kept window is not restarted"
    await windows.assign(ALL, 4)
    await until(lambda: reader.at_once == 20)
    await windows.close()
    assert reader.at_once == 0


def test_there_is_a_window_for_each_account_and_configured_source_with_windows() -> None:
    resources = {one: resource(one) for one in SOURCES} | {
        "twilio_call_event": resource_of_calls("twilio_call_event")
    }
    accounts = [account("AC1"), account("AC2"), account("T1", "telnyx")]

    def windows(*sources: str) -> list[tuple[str, str]]:
        return [(one.account.id, one.resource.source) for one in windows_of(accounts, resources, sources)]

    assert windows(*SOURCES, "twilio_call_event") == [
        ("AC1", "twilio_call"),
        ("AC2", "twilio_call"),
        ("T1", "telnyx_call_event"),
        ("T1", "telnyx_webhook_delivery"),
    ]
    assert windows("telnyx_webhook_delivery") == [("T1", "telnyx_webhook_delivery")]
    assert windows() == []
