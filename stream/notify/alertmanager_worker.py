"""A sink of type `alertmanager`: it is told what is firing when that changes, and again every minute.

It needs no offsets: what is firing is in a compacted topic, and is posted again after a restart.
Times are posted by Alertmanager's own clock, as its answers tell it: what ends in its past is over at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp

from stream.notify.alert import ReceivedAlert
from stream.notify.sinks.alertmanager import REPOST_S, AlertmanagerState, request
from stream.notify.sinks.sink import TAKEN, SinkAnswer, post
from stream.service.log_once import LogOnce
from stream.service.metrics.notify import NotifyMetrics
from stream.service.tables.notify_tables import RouteSetting, SinkSetting

MINUTE_S = 60.0
COLLECT_S = 1.0
"""What begins or ends within this time is posted together."""

RETRY_S, LONGEST_RETRY_S = 1.0, 30.0
CLOCK_TOLERANCE_S = 30.0
"""Our clock may differ from Alertmanager's by so much without a correction."""

DAY_S = 86_400.0
"""A `Date` that is further away is of no clock."""

log = logging.getLogger("callstream.notify")


class AlertmanagerWorker:
    """Posts what is firing to one sink, by its routes."""

    def __init__(
        self,
        setting: SinkSetting,
        routes: Sequence[RouteSetting],
        client: aiohttp.ClientSession,
        *,
        metrics: NotifyMetrics,
    ) -> None:
        self.name = setting.name
        self._setting = setting
        self._routes = routes
        self._client = client
        self._metrics = metrics
        self._behind_s = 0.0
        self._state = AlertmanagerState(routes, lambda: datetime.now(UTC) + timedelta(seconds=self._behind_s))
        self._changed = asyncio.Event()
        self._posted_s: dict[str, deque[float]] = {one.name: deque(maxlen=one.per_minute) for one in routes}
        self._outages = LogOnce()
        self.trouble: str | None = None
        """Why Alertmanager takes no alerts; None where it does."""

    def observe(self, fingerprint: str, alert: ReceivedAlert | None) -> None:
        if self._state.observe(fingerprint, alert):
            self._changed.set()

    async def run(self) -> None:
        """Post until cancelled. What is firing must be known: what is not posted would end there."""
        failures = 0
        while True:
            self._changed.clear()
            answers = [await self._post(one, time.monotonic()) for one in self._routes]
            failed = [one for one in answers if one is not None and one.outcome != TAKEN]
            if failed:
                backoff_s = min(RETRY_S * 2.0**failures, LONGEST_RETRY_S)
                failures = min(failures + 1, 10)
                # However long it wants peace: what is not posted ends there.
                await asyncio.sleep(max(backoff_s, min(failed[0].retry_s, REPOST_S)))
                continue
            failures = 0
            try:
                async with asyncio.timeout(REPOST_S):
                    await self._changed.wait()
                    await asyncio.sleep(COLLECT_S)
            except TimeoutError:
                continue
            await asyncio.sleep(max(0.0, self._free_s() - time.monotonic()))

    def _free_s(self) -> float:
        """When each route may post again; they are posted together."""
        full = [sent[0] + MINUTE_S for sent in self._posted_s.values() if len(sent) == sent.maxlen]
        return max(full, default=0.0)

    def _compare_clocks(self, answered_s: float) -> None:
        """Post again where the times were wrong, what has ended too: it ended in the future there."""
        behind_s = answered_s - time.time()
        if abs(behind_s) < DAY_S and abs(behind_s - self._behind_s) > CLOCK_TOLERANCE_S:
            self._behind_s = behind_s
            self._changed.set()

    async def _post(self, route: RouteSetting, now_s: float) -> SinkAnswer | None:
        """None where nothing fires."""
        alerts, ended = self._state.post(route.name)
        if not alerts:
            return None
        behind_s = self._behind_s
        answer = await post(self._client, request(self._setting, alerts), self._compare_clocks)
        self._metrics.requested(self.name, route.name, ok=answer.outcome == TAKEN)
        if answer.outcome == TAKEN:
            self._posted_s[route.name].append(now_s)
            if self._behind_s == behind_s:
                self._state.taken(ended)
            self.trouble = None
            if self._outages.succeeded(self.name, now_s):
                log.info("the sink %s takes notifications again", self.name)
        else:
            self.trouble = answer.why
            if self._outages.failed(self.name, answer.why, now_s):
                log.warning("the sink %s does not take notifications (%s): retrying", self.name, answer.why)
        return answer
