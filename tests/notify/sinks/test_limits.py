"""What no sink is sent, and for how long none is left in peace."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.notify.sinks import pagerduty
from stream.notify.sinks.alertmanager import AlertmanagerState
from stream.notify.sinks.sink import FAILED, SinkAnswer, SinkRequest, post
from stream.service.http import client
from stream.service.tables.notify_tables import SinkSetting
from tests.notify.alerts import condition
from tests.notify.sinks.test_sinks import ROUTE, told


async def test_no_redirect_is_followed_and_no_sink_has_peace_for_more_than_an_hour() -> None:
    came = list[str]()

    async def elsewhere(request: web.Request) -> web.Response:
        came.append(request.path)
        return web.Response(status=307, headers={"Location": "/other", "Retry-After": "999999"})

    app = web.Application()
    app.router.add_post("/{path}", elsewhere)
    async with TestServer(app, host="127.0.0.1") as server, client.session() as http:
        answer = await post(http, SinkRequest(str(server.make_url("/alerts")), b"{}"))
    assert (came, answer) == (["/alerts"], SinkAnswer(FAILED, "status 307", 3600.0))


def test_pagerduty_gets_no_summary_that_is_longer_than_it_takes() -> None:
    """It refuses the event, for ever."""
    long = condition(reason={"code": "http_5xx", "text": "x" * 2000})
    made = pagerduty.request(SinkSetting(name="p", type="pagerduty", secret="k"), told(long))
    assert made is not None
    assert len(orjson.loads(made.body)["payload"]["summary"]) == 1024


def test_what_begins_again_before_its_end_was_posted_is_posted_as_firing_alone() -> None:
    """Of two with the same labels Alertmanager keeps the last: it would end what fires."""
    state = AlertmanagerState([ROUTE], lambda: datetime(2026, 11, 20, 22, 15, tzinfo=UTC))
    one = condition()
    for observed in (one, None, condition(opened=2)):
        state.observe(one.fingerprint, observed)
    posted, ended = state.post("r")
    assert [found["endsAt"] > "2026-11-20T22:15:00Z" for found in posted] == [True]
    assert ended == []
