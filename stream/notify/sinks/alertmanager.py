"""Alertmanager, by its API v2: it is told again and again what is firing, and once what has ended.

It groups, silences and routes by labels, so an alert there is what shares its labels: a condition, or all
facts about calls of one rule, severity and account. No call id is a label.
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from stream.core.timestamps import instant
from stream.notify.alert import ReceivedAlert, route_of
from stream.notify.firing import Firing, FiringGroup
from stream.notify.sinks.sink import SinkRequest
from stream.notify.wording import sentence
from stream.service.tables.notify_tables import RouteSetting, SinkSetting

REPOST_S = 60.0
EXPIRES_S = 300.0
"""What is not posted again for so long ends by itself there: this role is down."""

PATH = "/api/v2/alerts"

_SOURCE = re.compile(r"https?://[\w.-]+(:\d+)?([/?#](%[\dA-F]{2}|[!-$&-~])*)?", re.ASCII | re.IGNORECASE)
"""A URL that Alertmanager takes as a source. For another one it refuses all that is posted with it."""


class AlertLabels(NamedTuple):
    """What identifies an alert there."""

    alertname: str
    severity: str
    provider: str
    account: str
    scope: str
    endpoint: str


class AlertmanagerState:
    """What one sink of type `alertmanager` has to say, by route.

    What shares its labels goes by one route, that of the first: it is one alert there.
    """

    def __init__(self, routes: Sequence[RouteSetting], now: Callable[[], datetime]) -> None:
        self._routes = routes
        self._now = now
        self._firing: Firing[AlertLabels] = Firing(self._labels_of)
        self._ended: dict[AlertLabels, tuple[FiringGroup, datetime]] = {}
        self._route_of: dict[AlertLabels, str] = {}

    def _labels_of(self, alert: ReceivedAlert) -> AlertLabels | None:
        if route_of(alert, self._routes) is None:
            return None
        is_condition = not alert.is_about_a_call
        endpoint = alert.webhook.endpoint if is_condition and alert.webhook is not None else None
        return AlertLabels(
            alert.rule.id,
            alert.severity,
            alert.provider,
            alert.account_name,
            alert.scope.id if is_condition else "",
            endpoint or "",
        )

    def observe(self, fingerprint: str, alert: ReceivedAlert | None) -> bool:
        """The newest record of a fingerprint. Whether there is something new to post."""
        began, ended, was = self._firing.observe(fingerprint, alert)
        if ended is not None and was is not None:
            self._ended[ended] = was, self._now()
        if began is not None and alert is not None and (route := route_of(alert, self._routes)) is not None:
            self._ended.pop(began, None)
            self._route_of[began] = route.name
        return began is not None or ended is not None

    def post(self, route: str) -> tuple[list[dict[str, Any]], list[AlertLabels]]:
        """What is posted of a route, and which of it has ended: `taken` is told of that."""
        expires = self._now() + timedelta(seconds=EXPIRES_S)
        firing = [
            _posted(labels, group, expires)
            for labels, group in self._firing.groups.items()
            if self._route_of[labels] == route
        ]
        ended = [(labels, *told) for labels, told in self._ended.items() if self._route_of[labels] == route]
        # Not in the future: our clock was wrong when it ended.
        over = [_posted(labels, group, min(ends, self._now())) for labels, group, ends in ended]
        return [*firing, *over], [labels for labels, *_ in ended]

    def taken(self, ended: Sequence[AlertLabels]) -> None:
        for labels in ended:
            if self._ended.pop(labels, None) is not None:
                del self._route_of[labels]


def _posted(labels: AlertLabels, group: FiringGroup, ends: datetime) -> dict[str, Any]:
    named = {name: value for name, value in labels._asdict().items() if value}
    newest = [*group.newest][::-1]
    ends_at = ends.isoformat().replace("+00:00", "Z")
    if (instant(group.starts_at) or 0) > ends.timestamp() * 1_000_000:
        ends_at = group.starts_at  # by a clock that is ahead; what ends before it starts is refused
    links = newest[0].links if newest else {}
    annotations = {
        "summary": sentence(newest[0]) if newest else labels.alertname,
        "description": "\n".join(
            f"{one.starts_at} {one.scope.id if one.is_about_a_call else ''} {sentence(one)}" for one in newest
        ),
        "help": (newest[0].reason.help or "") if newest else "",
        "count": str(group.count),
        "runbook_url": links.get("runbook", ""),
    }
    posted: dict[str, Any] = {
        "labels": named,
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": group.starts_at,
        "endsAt": ends_at,
    }
    if _SOURCE.fullmatch(source := links.get("call", "")):
        posted["generatorURL"] = source
    return posted


def request(sink: SinkSetting, alerts: Sequence[dict[str, Any]]) -> SinkRequest:
    return SinkRequest(sink.url.rstrip("/") + PATH, orjson.dumps(alerts))
