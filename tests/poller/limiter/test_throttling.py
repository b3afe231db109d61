"""20 workers, and a provider on a real socket that allows 50 requests a second and 5 at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import aiohttp
from aiohttp import web

from stream.poller.limiter.rate_limiter import RateLimiter
from tests.poller.limiter.limiter_fakes import NONE_WAITING, limiter, state
from tests.poller.limiter.virtual_provider import TokenBucket

AT_ONCE = 5
SOON_S = 60.0


class Provider:
    """Answers 429 above its limits. `order`: the names of what it answered, as they came.

    `crowded`: it answers nobody until it has refused somebody.
    """

    def __init__(self, *, crowded: bool = False) -> None:
        self.order: list[str] = []
        self.refused = self.working = self.most_at_once = 0
        self._bucket = TokenBucket(50.0, 10.0)
        self._began_s = time.monotonic()
        self._open = asyncio.Event()
        if not crowded:
            self._open.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.working += 1
        self.most_at_once = max(self.most_at_once, self.working)
        try:
            if self.working > AT_ONCE or not self._bucket.take(time.monotonic() - self._began_s):
                self.refused += 1
                self._open.set()
                return web.Response(status=429, headers={"Retry-After": "0.2"})
            self.order.append(request.match_info["name"])
            await self._open.wait()
            await asyncio.sleep(0.02)
            return web.json_response({})
        finally:
            self.working -= 1


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[str]:
    """The provider's address."""
    application = web.Application()
    application.router.add_get("/{name}", provider.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def fetch(session: aiohttp.ClientSession, one: RateLimiter, url: str, name: str) -> None:
    """One request, again until it is not refused."""
    refused = True
    while refused:
        async with (
            one.permit(name.split("-")[0], "twilio_call") as permit,
            session.get(f"{url}/{name}") as answer,
        ):
            refused = answer.status == 429
            named_s = float(answer.headers["Retry-After"]) if refused else None
            permit.answered("throttled" if refused else "success", named_s)


async def work(provider: Provider, one: RateLimiter, jobs: dict[str, int], workers: dict[str, int]) -> None:
    """Workers of each priority, who do so many requests of it together."""
    async with serving(provider) as url, aiohttp.ClientSession() as session, asyncio.timeout(SOON_S):

        async def go_on(names: list[str]) -> None:
            while names:
                await fetch(session, one, url, names.pop(0))

        async with asyncio.TaskGroup() as tasks:
            for priority, count in jobs.items():
                names = [f"{priority}-{number}" for number in range(count)]
                for _ in range(workers[priority]):
                    tasks.create_task(go_on(names))


def names_of(jobs: dict[str, int]) -> Counter[str]:
    return Counter(f"{priority}-{number}" for priority, count in jobs.items() for number in range(count))


async def test_within_its_limits_nothing_is_refused_and_heal_requests_go_before_the_backlog() -> None:
    provider, (one, _) = Provider(), limiter(50.0, AT_ONCE)
    jobs = {"terminal": 22, "heal": 6}
    await work(provider, one, jobs, {"terminal": 16, "heal": 4})
    assert (provider.refused, Counter(provider.order)) == (0, names_of(jobs))
    assert provider.most_at_once <= AT_ONCE
    places = {
        priority: median(place for place, name in enumerate(provider.order) if name.startswith(priority))
        for priority in jobs
    }
    assert places["heal"] < places["terminal"]
    assert one.state() == state(rate=50.0, concurrency=AT_ONCE)


async def test_a_request_that_is_throttled_is_sent_again_and_nothing_is_lost() -> None:
    provider, (one, _) = Provider(crowded=True), limiter(150.0, 15)
    jobs = {"terminal": 14, "heal": 4}
    await work(provider, one, jobs, {"terminal": 16, "heal": 4})
    assert Counter(provider.order) == names_of(jobs)
    assert provider.refused >= 1
    assert provider.most_at_once <= 15
    assert (one.state().in_flight, one.state().waiting) == (0, NONE_WAITING)
