"""What a running job says of its provider: why it does not go on, and since when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stream.core.timestamps import utc
from stream.poller.pages.paged_read import ReadResult
from stream.poller.schedule import backfills as backfills_module
from stream.poller.schedule.progress import BackfillJob
from tests.poller.schedule.backfill_fakes import ALL, HOUR_US, NOW_US, FakeReader, ended, job, poller
from tests.poller.schedule.progress_fakes import FakeStore, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills_module, "HEARTBEAT_S", 0.001)


def ticking() -> Callable[[], int]:
    times = iter(range(NOW_US, NOW_US + HOUR_US))
    return lambda: next(times)


def saved(store: FakeStore) -> list[BackfillJob]:
    return [one for one in store.history if isinstance(one, BackfillJob)]


async def test_an_account_that_is_not_answered_is_said_until_it_is() -> None:
    reader, wanted = FakeReader(), job(hours=1)
    store = FakeStore(wanted)
    reader.state = "unreachable"
    reader.may_answer.clear()
    backfills = poller(reader, store, now_us=ticking())
    await backfills.assign(ALL, 4)
    await until(lambda: len([one for one in saved(store) if one.error]) > 5)
    said = [(one.error, one.failing_since) for one in saved(store) if one.error]
    assert {error for error, _ in said} == {"the provider does not answer"}
    assert len({since for _, since in said}) == 1, "since the first of them"
    assert said[0][1] is not None
    assert said[0][1] > utc(NOW_US)
    reader.state = "running"
    count = len(store.history)
    await until(lambda: len(store.history) > count + 5)
    assert (saved(store)[-1].error, saved(store)[-1].failing_since) == (None, None)
    reader.state = "refused"
    await until(lambda: saved(store)[-1].error == "the provider refuses the credentials")
    reader.may_answer.set()
    last = await ended(store, wanted)
    await backfills.close()
    assert (last.state, last.error, last.failing_since) == ("done", None, None)


async def test_a_read_that_is_tried_again_is_said_with_what_it_came_to() -> None:
    reader, wanted = FakeReader(), job(hours=1)
    store = FakeStore(wanted)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    reader.answers = {url: [ReadResult("server_error", problem="answered 503")]}
    backfills = poller(reader, store, now_us=ticking())
    backfills.sleep = lambda _: until(lambda: saved(store)[-1].error == "server_error: answered 503")
    await backfills.assign(ALL, 4)
    last = await ended(store, wanted)
    await backfills.close()
    assert (last.state, last.rows, last.error, last.failing_since) == ("done", 20, None, None)


async def test_a_read_that_was_answered_at_last_is_not_said_any_longer() -> None:
    reader, wanted = FakeReader(), job(hours=1)
    store = FakeStore(wanted)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    reader.answers = {url: [ReadResult("server_error", problem="answered 503")]}
    reader.halt_at = 3
    backfills = poller(reader, store, now_us=ticking())
    backfills.sleep = lambda _: until(lambda: saved(store)[-1].error == "server_error: answered 503")
    await backfills.assign(ALL, 4)
    await until(lambda: len(reader.urls) == 3)
    count = len(store.history)
    await until(lambda: len(store.history) > count + 2)
    await backfills.close()
    assert (saved(store)[-1].error, saved(store)[-1].failing_since) == (None, None)
