"""`callstream notify test`: one notification of each shape, made of alerts that say that they are a test."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import aiohttp
import msgspec

from stream.core.identity import name_id
from stream.core.timestamps import utc
from stream.notify.alert import ReceivedAlert
from stream.notify.firing import Firing
from stream.notify.grouping import PendingGroup, TakenAlert
from stream.notify.sinks import sink_of
from stream.notify.sinks.alertmanager import AlertmanagerState, request
from stream.notify.sinks.sink import TIMEOUT_S, SinkAnswer, post
from stream.service.http import client
from stream.service.settings import NotifySettings
from stream.service.tables.notify_tables import RouteSetting, SinkSetting, sinks_of

OPENS = "a condition opens"
FACTS = "five facts about calls"
ENDS = "the condition ends"
FACTS_END = "the facts end"

URL = "https://app.example.com/voice"


def samples(now_us: int) -> dict[str, Sequence[ReceivedAlert]]:
    """The alerts of each shape."""
    at = utc(now_us)
    condition: dict[str, object] = {
        "rule": {"id": "webhook.failing"},
        "scope": {"type": "endpoint", "id": f"twilio:endpoint::{URL}"},
        "severity": "critical",
        "reason": {"code": "http_5xx", "text": f"A test: the application answers 500 at {URL}."},
        "webhook": {"endpoint": URL},
        "occurrences": 12,
    }
    ended = {"state": "resolved", "revision": 2, "ends_at": at}
    facts: list[dict[str, object]] = [
        {
            "rule": {"id": "call.failed"},
            "scope": {"type": "call", "id": f"twilio:CA{number:032x}"},
            "severity": "info",
            "reason": {"code": "failed", "text": "A test: the call failed with SIP response code 404."},
        }
        for number in range(5)
    ]
    return {
        OPENS: [_alert(condition, at)],
        FACTS: [_alert(one, at) for one in facts],
        ENDS: [_alert(condition | ended, at)],
        FACTS_END: [_alert(one | ended, at) for one in facts],
    }


def _alert(fields: dict[str, object], at: str) -> ReceivedAlert:
    fingerprint = name_id("test", fields["rule"], fields["scope"])
    episode = name_id("test", fingerprint, at)
    usual = {
        "id": name_id("test", episode, fields.get("revision", 1)),
        "fingerprint": fingerprint,
        "episode_id": episode,
        "provider": "twilio",
        "account": "test",
        "state": "firing",
        "starts_at": at,
        "updated_at": at,
    }
    return msgspec.convert(usual | fields, ReceivedAlert)


async def tried(name: str, chosen: NotifySettings) -> AsyncIterator[tuple[str, SinkAnswer]]:
    """Sends a sink the shapes one after the other; gives each with the sink's answer."""
    setting = next(one for one in sinks_of(chosen) if one.name == name)
    async with client.session(timeout_s=TIMEOUT_S) as http:
        async for shape, answer in _tried(setting, http):
            yield shape, answer


async def _tried(setting: SinkSetting, http: aiohttp.ClientSession) -> AsyncIterator[tuple[str, SinkAnswer]]:
    route = RouteSetting(sink=setting.name, name="test")
    shapes = samples(time.time_ns() // 1000)
    if setting.type == "alertmanager":
        state = AlertmanagerState([route], lambda: datetime.now(UTC))
        for shape, alerts in shapes.items():
            for one in alerts:
                state.observe(one.fingerprint, one)
            yield shape, await post(http, request(setting, state.post(route.name)[0]))
        return
    sink = sink_of(setting, http)
    firing: Firing[str] = Firing(lambda alert: alert.group.key)
    for shape, alerts in shapes.items():
        if shape != FACTS_END or sink.closes:
            pending = PendingGroup(route, alerts[0].group, 0.0)
            pending.taken = [TakenAlert(one, None, lambda: None) for one in alerts]
            yield shape, await sink.send(pending.notification(firing))
