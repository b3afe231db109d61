"""The sinks by type, but for Alertmanager, which is told what is firing and not what has happened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

import aiohttp

from stream.notify.grouping import Notification
from stream.notify.sinks import pagerduty, slack, webhook
from stream.notify.sinks.sink import TAKEN, Sink, SinkAnswer, SinkRequest, post
from stream.notify.wording import counts, examples, headline
from stream.service.tables.notify_tables import SinkSetting

log = logging.getLogger("callstream.alerts")

_LEVELS = {"critical": logging.ERROR, "warning": logging.WARNING}


class HttpSink:
    """A sink that gets a POST for each notification, but where `render` has none."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        render: Callable[[Notification], SinkRequest | None],
        *,
        closes: bool,
    ) -> None:
        self._client = client
        self._render = render
        self.closes = closes

    async def send(self, told: Notification) -> SinkAnswer:
        made = self._render(told)
        return await post(self._client, made) if made is not None else SinkAnswer(TAKEN)


class LogSink:
    """The role's own log: one line for each notification."""

    closes = False

    async def send(self, told: Notification) -> SinkAnswer:
        level = logging.INFO if told.tells_of_an_end else _LEVELS.get(told.severity, logging.INFO)
        log.log(level, "%s; %s; %s", headline(told), counts(told), " | ".join(examples(told)))
        return SinkAnswer(TAKEN)


def sink_of(setting: SinkSetting, client: aiohttp.ClientSession) -> Sink:
    """The sink of a table `[[notify_sinks]]`, of any type but `alertmanager`."""
    match setting.type:
        case "pagerduty":
            return HttpSink(client, partial(pagerduty.request, setting), closes=True)
        case "slack":
            return HttpSink(client, partial(slack.request, setting), closes=False)
        case "webhook":
            return HttpSink(client, lambda told: webhook.request(setting, told, time.time()), closes=True)
        case _:
            return LogSink()
