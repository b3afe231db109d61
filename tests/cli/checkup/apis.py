"""The providers' REST resources as a small server: who may read, and what time it is there."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate

from aiohttp import web

from tests.gateway.signing import ACCOUNT


@dataclass
class Apis:
    """One server in all these places. `seen`: (path with query, authorization) of each request."""

    users: dict[str, str] = field(default_factory=dict)
    telnyx_key: str = ""
    status: int = 0
    ahead_s: float = 0.0
    tells_the_time: bool = True
    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}"
        return {
            "CALLSTREAM_TWILIO_API_URL": url,
            "CALLSTREAM_TWILIO_INSIGHTS_URL": f"{url}/insights",
            "CALLSTREAM_TWILIO_MONITOR_URL": f"{url}/monitor",
            "CALLSTREAM_TELNYX_API_URL": f"{url}/v2",
        }

    def _status(self, request: web.Request) -> int:
        given = request.headers.get("Authorization", "")
        if self.status:
            return self.status
        if request.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json":
            user, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
            return 200 if self.users.get(user) == password else 401
        if request.path == "/v2/call_events":
            return 200 if given == f"Bearer {self.telnyx_key}" else 401
        return 404

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path_qs, request.headers.get("Authorization", "")))
        date = formatdate(time.time() + self.ahead_s, usegmt=True)
        location = {"Location": f"http://127.0.0.1:{self.port}/stolen"} if self.status == 302 else {}
        return web.json_response(
            {"calls": [{"from": "+15005550006"}]},
            status=self._status(request),
            headers={"Date": date, **location},
        )

    async def _without_date(self, _request: web.Request, answer: web.StreamResponse) -> None:
        if not self.tells_the_time:
            del answer.headers["Date"]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Apis]:
        app = web.Application()
        app.on_response_prepare.append(self._without_date)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()
