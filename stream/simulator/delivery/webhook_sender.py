"""Callbacks over HTTP, as the providers deliver them: many at once, each with its own retries.

The rule of this file: at most `in_flight` requests are under way, and what waits for its next attempt is not.
Who sends more waits for a place, so that nothing piles up in here. No redirect is followed and no proxy
used: a request goes to the gateway or nowhere.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace
from types import TracebackType

import aiohttp
from yarl import URL

from stream.simulator.delivery.answers import AnswerStats
from stream.simulator.delivery.record_writer import PACE_S, DeliveryPacer, Progress, RecordWriter
from stream.simulator.delivery.retries import (
    AttemptResult,
    AttemptTimeouts,
    RetryPolicy,
    TelnyxRetries,
    TwilioRetries,
)
from stream.simulator.delivery.signing import SigningKeys
from stream.simulator.delivery.webhooks import GatewayAddress, OutgoingWebhook, telnyx, twilio
from stream.simulator.traffic import ReportDelivery, Traffic

OPEN_LIMIT = 10_000
"""Deliveries under way or waiting for their next attempt."""

ROWS_LIMIT = 50_000
BREATH = 200
ANSWER_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPlan:
    """Where callbacks go and how.

    - `failover`: the second address of Telnyx, if any.
    - `retry_scale`: how much longer than the providers' the waits between attempts are.
    - `in_flight`: requests under way at once.
    """

    gateway: GatewayAddress
    signing: SigningKeys
    twilio: TwilioRetries = field(default_factory=TwilioRetries)
    telnyx: TelnyxRetries = field(default_factory=TelnyxRetries)
    failover: GatewayAddress | None = None
    retry_scale: float = 1.0
    in_flight: int = 100


class WebhookSender:
    """Delivers callbacks, and tells the traffic which arrived. Leaving it waits for all of them."""

    def __init__(self, plan: WebhookPlan, traffic: Traffic) -> None:
        self.answers = AnswerStats()
        self._plan = plan
        self._telnyx = replace(plan.telnyx, failover=plan.failover is not None)
        self._traffic = traffic
        self._slots = asyncio.Semaphore(plan.in_flight)
        self._room = asyncio.Semaphore(OPEN_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> WebhookSender:
        self._client = aiohttp.ClientSession(
            # The slots are the bound: a queue in there would count as an answer's time.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                while self._tasks:
                    await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._client.close()
        self._check()

    async def send(self, sending: ReportDelivery) -> None:
        """Begin a delivery as soon as there is a place for it."""
        self._check()
        await self._room.acquire()
        await self._slots.acquire()
        self.answers.sent += 1
        task = asyncio.create_task(self._deliver(sending))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            self._error = self._error or task.exception()

    def _check(self) -> None:
        """An attempt that fails is an answer; anything else is a fault of ours."""
        if self._error is not None:
            raise self._error

    async def _deliver(self, sending: ReportDelivery) -> None:
        """All attempts of one delivery; a place in flight is taken for the first one."""
        is_twilio = sending.report.source.startswith("twilio")
        policy: RetryPolicy = self._plan.twilio if is_twilio else self._telnyx
        form = twilio(sending, self._plan.gateway, self._plan.signing) if is_twilio else None
        attempts, spent_s = 0, 0.0
        doubtful = False
        while True:
            try:
                webhook = form or self._json(sending, attempts)
                answer, seconds = await self._post(webhook, policy.limits(spent_s))
            finally:
                self._slots.release()
            attempts, spent_s = attempts + 1, spent_s + seconds
            self.answers.answered(answer, seconds)
            if answer.taken:
                self.answers.taken += 1
                self._traffic.arrived(sending)
                return
            doubtful = doubtful or answer.doubtful
            wait_s = policy.wait_s(answer, attempts, spent_s)
            if wait_s is None:
                self.answers.gave_up(answer, f"{sending.call.key} {sending.report.source}")
                if doubtful:
                    self._traffic.doubtful(sending)
                return
            spent_s += wait_s
            await asyncio.sleep(wait_s * self._plan.retry_scale)
            await self._slots.acquire()
            self.answers.retried += 1

    def _json(self, sending: ReportDelivery, tries: int) -> OutgoingWebhook:
        """Telnyx' next attempt."""
        plan = self._plan
        second = plan.failover if self._telnyx.is_failover(tries + 1) else None
        return telnyx(sending, second or plan.gateway, plan.signing, tries=tries, now_s=time.time())

    async def _post(self, webhook: OutgoingWebhook, limits: AttemptTimeouts) -> tuple[AttemptResult, float]:
        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(
            total=limits.total_s,
            sock_connect=limits.connect_s,
            sock_read=limits.answer_s,
            ceil_threshold=math.inf,  # a limit of 15 s is not one of 16
        )
        try:
            async with self._client.post(
                URL(webhook.url, encoded=True),
                data=webhook.body,
                headers=webhook.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                await response.content.read(ANSWER_LIMIT_BYTES)
                answer = AttemptResult(response.status)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            answer = AttemptResult(0, connected=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            answer = AttemptResult(0)
        return answer, time.monotonic() - began


async def deliver(
    traffic: Traffic,
    writer: RecordWriter,
    courier: WebhookSender,
    *,
    paced: bool,
    progress: Progress | None = None,
) -> None:
    """Callbacks to the gateway in the order of sending, polled rows to Kafka beside them.

    A broker that is gone holds up the rows and not the callbacks. Raises what Kafka's producer raises.
    """
    pace = DeliveryPacer()
    rows: asyncio.Queue[ReportDelivery | None] = asyncio.Queue()
    writing = asyncio.create_task(_write_rows(rows, traffic, writer))
    try:
        for count, sending in enumerate(traffic.sendings(), 1):
            while paced and (wait_s := pace.wait_s(sending.at_us)) > 0:
                await asyncio.sleep(max(wait_s, PACE_S))
                if progress is not None:
                    progress(traffic.deliveries)
            if sending.pushed:
                await courier.send(sending)
            else:
                rows.put_nowait(sending)
            if count % BREATH == 0:
                await asyncio.sleep(0)
                if progress is not None:
                    progress(traffic.deliveries)
            while writing.done() or rows.qsize() > ROWS_LIMIT:
                if writing.done():
                    await writing
                await asyncio.sleep(PACE_S)
        rows.put_nowait(None)
        await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _write_rows(
    rows: asyncio.Queue[ReportDelivery | None], traffic: Traffic, writer: RecordWriter
) -> None:
    """Rows to Kafka until None comes, a few milliseconds of them in one go."""
    while True:
        sending = await rows.get()
        while sending is not None:
            await writer.append(traffic.record(sending))
            if rows.empty():
                break
            sending = rows.get_nowait()
        if sending is None:
            await writer.acknowledged()
            return
        await writer.flush()
        await asyncio.sleep(PACE_S)
