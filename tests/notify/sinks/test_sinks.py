"""What each service gets: in its documented shape, and for Alertmanager as Alertmanager itself judges it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.broker.ports import free_port
from stream.cli.local.observability import ALERTMANAGER, alertmanager_command, routes
from stream.notify.alert import ReceivedAlert, example
from stream.notify.firing import Firing
from stream.notify.grouping import Notification, PendingGroup, TakenAlert
from stream.notify.sinks import LogSink, pagerduty, sink_of, slack, webhook
from stream.notify.sinks.alertmanager import AlertmanagerState, request
from stream.notify.sinks.sink import FAILED, REFUSED, TAKEN, SinkAnswer, SinkRequest, post
from stream.notify.trial import tried
from stream.notify.wording import examples
from stream.service.http import client
from stream.service.settings import NotifySettings
from stream.service.tables.notify_tables import RouteSetting, SinkSetting
from tests.e2e.full_worker import get_text
from tests.e2e.harness import wait_until
from tests.notify.alerts import AT, alert, condition, resolved
from tests.notify.sinks.stub_sinks import SIGNING_KEY, leaves, stub_sinks

ROUTE = RouteSetting(sink="s", name="r")


def told(*alerts: ReceivedAlert) -> Notification:
    pending = PendingGroup(ROUTE, alerts[0].group, 0.0)
    pending.taken = [TakenAlert(one, None, lambda: None) for one in alerts]
    return pending.notification(Firing(lambda one: one.group.key))


async def test_every_service_takes_one_of_each_shape() -> None:
    async with stub_sinks() as stub:
        answers: dict[str, list[SinkAnswer]] = {}
        settings = NotifySettings(notify_sinks=tuple(stub.settings()))
        for one in settings.notify_sinks:
            answers[one.name] = [answer async for _, answer in tried(one.name, settings)]
    assert stub.refused == []
    assert answers == {
        name: [SinkAnswer(TAKEN)] * number
        for name, number in {"alertmanager": 4, "pagerduty": 4, "slack": 3, "webhook": 4}.items()
    }
    events = stub.payloads("pagerduty")
    assert [one["event_action"] for one in events] == ["trigger", "trigger", "resolve", "resolve"]
    assert (
        events[0]["dedup_key"] == events[2]["dedup_key"] != events[1]["dedup_key"] == events[3]["dedup_key"]
    )
    assert "5 calls" in events[1]["payload"]["summary"]
    assert len(events[1]["payload"]["custom_details"]["examples"]) == 3
    assert len({one["webhook-id"] for one in stub.headers["webhook"]}) == 4


def test_a_condition_at_pagerduty_is_the_incident_of_its_fingerprint() -> None:
    one = condition(links={"parent_alert": "urn:uuid:1", "runbook": "https://example.com/r"})
    sink = SinkSetting(name="p", type="pagerduty", secret="k")
    assert pagerduty.request(sink, told(one)).url == "https://events.pagerduty.com/v2/enqueue"
    body = pagerduty.request(sink, told(one)).body
    assert f'"dedup_key":"{one.fingerprint}"'.encode() in body
    assert b'"links":[{"href":"https://example.com/r","text":"runbook"}]' in body


async def test_an_end_while_others_of_its_group_fire_opens_no_incident_and_reads_as_an_end() -> None:
    """A trigger opens a new incident where somebody has closed the old one."""
    one, other = alert("twilio:CA1"), alert("twilio:CA2")
    firing: Firing[str] = Firing(lambda found: found.group.key)
    firing.observe(other.fingerprint, other)
    pending = PendingGroup(ROUTE, one.group, 0.0)
    pending.taken = [TakenAlert(resolved(one), None, lambda: None)]
    ended = pending.notification(firing)
    assert (ended.state, ended.firing_now) == ("firing", 1)
    async with stub_sinks() as stub, client.session() as http:
        for setting in (one for one in stub.settings() if one.type in ("pagerduty", "slack")):
            assert await sink_of(setting, http).send(ended) == SinkAnswer(TAKEN)
    assert stub.payloads("pagerduty") == []
    assert stub.payloads("slack")[0]["text"] == "[resolved] call.failed: 1 call (twilio, account main)"


def test_slack_shows_no_mention_that_an_alert_contains_and_cuts_what_is_too_long() -> None:
    reason = {"code": "x", "text": "<!channel> & " + "x" * 5000, "help": None}
    body = slack.request(SinkSetting(name="s", type="slack", url="https://h"), told(condition(reason=reason)))
    assert b"<!channel>" not in body.body.partition(b'"blocks"')[0]
    assert body.body.count(b'"type":"mrkdwn"') == body.body.count(b'"verbatim":true')
    assert b"&lt;!channel&gt; &amp;" in body.body
    assert len(body.body) < 40_000


def test_a_webhook_is_signed_as_the_reference_library_signs() -> None:
    """The expected value was made with the Python library of Standard Webhooks."""
    id_, body = "c2c1a2e1-0000-5000-8000-000000000001", b'{"type":"callstream.alert.firing"}'
    assert webhook.signature(SIGNING_KEY, id_, "1795000000", body) == (
        "v1,ALdQ7Tk42ujTpWBcAOktto/MTZA8Zty3ICmCS8LaQO0="
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (204, SinkAnswer(TAKEN)),
        (302, SinkAnswer(FAILED, "status 302")),
        (400, SinkAnswer(REFUSED, "status 400")),
        (403, SinkAnswer(FAILED, "status 403")),
        (404, SinkAnswer(FAILED, "status 404")),
        (413, SinkAnswer(REFUSED, "status 413")),
        (429, SinkAnswer(FAILED, "status 429")),
        (503, SinkAnswer(FAILED, "status 503")),
    ],
)
async def test_a_sink_that_has_read_it_and_does_not_want_it_refuses_all_else_may_pass(
    status: int, expected: SinkAnswer
) -> None:
    async with stub_sinks() as stub, client.session() as http:
        stub.answers = {"slack": [status]}
        assert await post(http, SinkRequest(f"{stub.url}/services/T0/B0/planted", b"{}")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            """{"errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}""",
            SinkAnswer(FAILED, "status 400, the key is wrong"),
        ),
        ("Bad Request: Invalid routing key", SinkAnswer(FAILED, "status 400, the key is wrong")),
        ("""{"errors":["'payload.summary' is missing or blank"]}""", SinkAnswer(REFUSED, "status 400")),
        (" " * 8192 + "routing_key", SinkAnswer(REFUSED, "status 400")),
    ],
)
async def test_a_wrong_routing_key_is_corrected_by_a_person_and_refuses_no_alert(
    text: str, expected: SinkAnswer
) -> None:
    async with stub_sinks() as stub, client.session() as http:
        stub.answers, stub.texts = {"pagerduty": [400]}, {"pagerduty": text}
        (setting,) = (one for one in stub.settings() if one.type == "pagerduty")
        assert await post(http, pagerduty.request(setting, told(condition()))) == expected


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end() -> None:
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=400)
        await answer.prepare(request)
        for part in (b"Invalid ", b"routing key"):
            await answer.write(part)
            await asyncio.sleep(0.05)
        return answer

    app = web.Application()
    app.router.add_post("/", in_pieces)
    async with TestServer(app, host="127.0.0.1") as server, client.session() as http:
        answer = await post(
            http, SinkRequest(str(server.make_url("/")), b"{}", wrong_key=pagerduty.WRONG_KEY)
        )
    assert answer == SinkAnswer(FAILED, "status 400, the key is wrong")


async def test_a_sink_says_how_long_it_wants_peace_and_one_that_is_not_there_is_named_by_its_error() -> None:
    async with stub_sinks() as stub, client.session() as http:
        stub.away.add("slack")
        answer = await post(http, SinkRequest(f"{stub.url}/services/T0/B0/planted", b"{}"))
        assert answer == SinkAnswer(FAILED, "status 503", 1.0)
    async with client.session() as http:
        nobody = await post(http, SinkRequest(f"http://127.0.0.1:{free_port()}/planted", b"{}"))
    assert (nobody.outcome, "planted" in nobody.why) == (FAILED, False)
    assert "Connect" in nobody.why


async def test_the_log_has_one_line_for_each_notification(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await LogSink().send(told(condition()))
        await LogSink().send(told(resolved(condition())))
        await LogSink().send(told(*(alert(f"twilio:CA{number}") for number in range(5))))
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "INFO"]
    assert caplog.messages[2].startswith(
        "[info] call.failed: 5 calls (twilio, account main); 5 new, 5 firing"
    )


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 22, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def test_alertmanager_is_told_what_fires_until_it_is_told_of_the_end() -> None:
    state = AlertmanagerState([ROUTE], Clock())
    one, calls = condition(), [alert(f"twilio:CA{number}", starts_at=AT) for number in range(5)]
    for found in (one, *calls):
        state.observe(found.fingerprint, found)
    posted, ended = state.post("r")
    assert ended == []
    assert [found["labels"] for found in posted] == [
        {
            "alertname": "webhook.failing",
            "severity": "critical",
            "provider": "twilio",
            "account": "main",
            "scope": one.scope.id,
            "endpoint": "https://app.example.com/voice",
        },
        {"alertname": "call.failed", "severity": "info", "provider": "twilio", "account": "main"},
    ]
    assert {found["endsAt"] for found in posted} == {"2026-11-20T22:20:00Z"}
    assert posted[1]["annotations"]["count"] == "5"
    assert not any("CA" in text for found in posted for text in found["labels"].values())
    # It ends, one call of five does, and the end is posted until it is taken.
    assert state.observe(one.fingerprint, resolved(one))
    assert not state.observe(calls[0].fingerprint, None)
    for _ in range(2):
        posted, ended = state.post("r")
        assert [(found["labels"]["alertname"], found["endsAt"]) for found in posted] == [
            ("call.failed", "2026-11-20T22:20:00Z"),
            ("webhook.failing", "2026-11-20T22:15:00Z"),
        ]
    state.taken(ended)
    assert len(state.post("r")[0]) == 1


def test_the_source_of_an_alert_at_alertmanager_is_the_call_that_it_links_to() -> None:
    page = "https://calls.example.com/ui/calls/twilio%3ACA1"
    state = AlertmanagerState([ROUTE], Clock())
    for one in (
        condition(links={"call": page}),
        alert("twilio:CA2", starts_at=AT, links={"call": "javascript:x"}),
    ):
        state.observe(one.fingerprint, one)
    posted, _ = state.post("r")
    assert [found.get("generatorURL") for found in posted] == [page, None]


async def test_a_link_that_alertmanager_does_not_take_costs_no_alert(alertmanager: str) -> None:
    """It refuses all that is posted together, and after five minutes everything has ended there."""
    state = AlertmanagerState([ROUTE], lambda: datetime.now(UTC))
    hosts = ("calls.example.com/100%", "twilio%3ACA1.example.com/", "calls example.com/", "[::1/", "a:b/")
    for number, host in enumerate(hosts):
        one = alert(f"twilio:CA{number}", rule=f"call.{number}", links={"call": f"https://{host}"})
        state.observe(one.fingerprint, one)
    async with client.session() as http:
        sink = SinkSetting(name="a", type="alertmanager", url=alertmanager)
        assert await post(http, request(sink, state.post("r")[0])) == SinkAnswer(TAKEN)


def test_a_change_of_severity_ends_one_alert_and_begins_another() -> None:
    """Alertmanager knows an alert by its labels, and the severity is one."""
    state = AlertmanagerState([ROUTE], Clock())
    worse = condition(revision=2)
    state.observe(worse.fingerprint, condition(severity="warning"))
    assert state.observe(worse.fingerprint, worse)
    posted, _ = state.post("r")
    assert [(one["labels"]["severity"], one["endsAt"] > "2026-11-20T22:15:00Z") for one in posted] == [
        ("critical", True),
        ("warning", False),
    ]


def test_what_began_by_a_clock_that_is_ahead_ends_no_earlier_than_it_began() -> None:
    """Alertmanager refuses what ends before it starts, again and again."""
    state = AlertmanagerState([ROUTE], Clock())
    one = condition(starts_at="2026-11-20T22:15:00.250000Z")
    state.observe(one.fingerprint, one)
    state.observe(one.fingerprint, None)
    ((posted,), _) = state.post("r")
    assert posted["endsAt"] == posted["startsAt"] == one.starts_at


@pytest.fixture
def alertmanager(tmp_path: Path) -> Any:
    """The URL of a real Alertmanager."""
    program = next((found for name in ALERTMANAGER if (found := shutil.which(name))), None)
    if program is None:
        if os.environ.get("CALLSTREAM_REQUIRE_TOOLS"):
            pytest.fail("Alertmanager is missing and CALLSTREAM_REQUIRE_TOOLS is set")
        pytest.skip("Alertmanager is not installed")
    listen = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        alertmanager_command(program, tmp_path, listen, routes()), stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: get_text(f"http://{listen}/-/ready")[0] == 200, "Alertmanager is ready", 30)
        yield f"http://{listen}"
    finally:
        process.kill()
        process.wait()


async def test_alertmanager_has_what_fires_and_no_longer_what_has_ended(alertmanager: str) -> None:
    sink = SinkSetting(name="a", type="alertmanager", url=alertmanager)
    state = AlertmanagerState([ROUTE], lambda: datetime.now(UTC))
    one, call = condition(starts_at=AT), alert()
    async with client.session() as http, aiohttp.ClientSession() as reader:

        async def active() -> list[str]:
            async with reader.get(f"{alertmanager}/api/v2/alerts?active=true") as answer:
                return sorted(found["labels"]["alertname"] for found in await answer.json())

        async def up() -> SinkAnswer:
            return await post(http, request(sink, state.post("r")[0]))

        for found in (one, call):
            state.observe(found.fingerprint, found)
        assert await up() == SinkAnswer(TAKEN)
        assert await active() == ["call.failed", "webhook.failing"]
        state.observe(one.fingerprint, resolved(one))
        assert await up() == SinkAnswer(TAKEN)
        assert await active() == ["call.failed"]


async def test_no_secret_and_no_call_id_is_where_it_does_not_belong() -> None:
    async with stub_sinks() as stub:
        settings = NotifySettings(notify_sinks=tuple(stub.settings()))
        for one in settings.notify_sinks:
            async for _ in tried(one.name, settings):
                pass
    for kind, found in stub.received.items():
        texts = [text for _, payload in found for text in leaves(payload)]
        assert not any("planted" in text or SIGNING_KEY in text for text in texts), kind
    labels = [one["labels"] for payload in stub.payloads("alertmanager") for one in payload]
    assert not any("CA0" in text for text in leaves(labels))


def test_a_condition_is_told_with_its_samples_and_what_to_do() -> None:
    samples = [{"key": f"twilio:CA{number}", "at": AT, "text": "answered 500"} for number in range(5)]
    reason = {"code": "http_5xx", "text": "12 of 40 requests failed.", "help": "See its log."}
    one = told(condition(samples=samples, reason=reason))
    assert examples(one) == [
        "12 of 40 requests failed.",
        *(f"{AT} twilio:CA{number}: answered 500" for number in range(3)),
        "See its log.",
    ]
    assert example(one.alerts[0])["samples"] == samples[:3]
