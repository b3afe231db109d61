"""The simulated providers and callstream side by side, on two ports: the same calls, the same credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.api import server
from stream.api.app import make_app
from stream.api.compatible.routes import routes
from stream.provider_api.http_types import Row
from stream.service.tables.api_tokens import line_of, read_tokens
from stream.simulator.calls.wall_clock import wall_us
from stream.simulator.rest.server import serving
from tests.api.clients import parts
from tests.api.compatible.simulated import Simulated, simulated
from tests.e2e.poller import run_in_thread
from tests.simulator.rest.resource_fakes import KEYS, TELNYX_KEY, TOKEN

AGO_US = 4 * 3600 * 1_000_000
"""When the calls began: Telnyx' log is that of the last 24 hours."""

CALLS = 60

NUMBERS = ("read", "read:numbers")


@dataclass(frozen=True)
class About:
    """What the queries name: a completed, a busy and a dialled call, a row of a webhook."""

    account: str
    call: Row
    busy: Row
    child: Row
    row: Row
    summary_sid: str

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = self.row["metadata"]["event"]["payload"]
        return payload


@dataclass(frozen=True)
class SdkServers:
    """The base URLs of the simulated provider and of callstream."""

    provider: str
    callstream: str
    about: About


@contextmanager
def sdk_servers(folder: Path) -> Iterator[SdkServers]:
    with ExitStack() as stack:
        found = stack.enter_context(simulated(folder, calls=CALLS, start_us=wall_us() - AGO_US))
        provider = stack.enter_context(
            run_in_thread(serving(found.providers, KEYS, "127.0.0.1:0", now_us=lambda: found.now_us))
        )
        callstream = stack.enter_context(run_in_thread(_callstream(found)))
        yield SdkServers(provider, callstream, about(found))


@asynccontextmanager
async def _callstream(found: Simulated) -> AsyncIterator[str]:
    tokens = (
        line_of("twilio", NUMBERS, [found.providers.twilio_account], TOKEN),
        line_of("telnyx", NUMBERS, [found.providers.telnyx_account], TELNYX_KEY),
    )
    app = make_app(
        parts(found.archive, api_tokens=read_tokens("\n".join(tokens)), api_rate=10_000.0), routes()
    )
    async with server.serving(app, "127.0.0.1:0", "CALLSTREAM_API_LISTEN") as (url, _):
        yield url


def about(found: Simulated) -> About:
    calls = found.provider("calls", {"PageSize": "1000"}).body["calls"]
    rows = found.provider("call_events", {"page[size]": "250"}).body["data"]
    return About(
        account=found.providers.twilio_account,
        call=next(row for row in calls if row["status"] == "completed"),
        busy=next(row for row in calls if row["status"] == "busy"),
        child=next(row for row in calls if row["parent_call_sid"]),
        row=next(row for row in rows[20:] if row["metadata"]),
        summary_sid=calls[0]["sid"],
    )
