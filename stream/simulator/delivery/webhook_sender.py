"""Sends callbacks over HTTP as the providers deliver them: many at once, each with its own retries.

At most `in_flight` requests are active; a delivery that waits for its next attempt does not count. A caller
that sends more waits, so that nothing piles up here. No redirect is followed and no proxy is used: a request
goes to the gateway or nowhere.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import aiohttp
from yarl import URL

from stream.simulator.calls.call import ReportDelivery
from stream.simulator.delivery.answers import AnswerStats, AttemptResult
from stream.simulator.delivery.retries import AttemptTimeouts, RetryPolicy, TelnyxRetries, TwilioRetries
from stream.simulator.delivery.webhooks import (
    GatewayAddress,
    OutgoingWebhook,
    SigningKeys,
    telnyx_webhook,
    twilio_webhook,
)

OPEN_LIMIT = 10_000
"""Deliveries in flight or waiting for their next attempt."""

ANSWER_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPlan:
    """Where callbacks go and how.

    - `failover`: Telnyx' second address, if any.
    - `retry_scale`: factor on the providers' waits between attempts.
    - `in_flight`: concurrent requests.
    - `keys_now`: from `signing` to what is signed with at the moment, if that changes.
    """

    gateway: GatewayAddress
    signing: SigningKeys
    twilio: TwilioRetries = field(default_factory=TwilioRetries)
    telnyx: TelnyxRetries = field(default_factory=TelnyxRetries)
    failover: GatewayAddress | None = None
    retry_scale: float = 1.0
    in_flight: int = 100
    keys_now: Callable[[SigningKeys], SigningKeys] | None = None


class WebhookSender:
    """Delivers callbacks and notes which arrived. Leaving it waits for all deliveries."""

    def __init__(self, plan: WebhookPlan) -> None:
        self.answers = AnswerStats()
        self._plan = plan
        self._telnyx = replace(plan.telnyx, failover=plan.failover is not None)
        self._requests = asyncio.Semaphore(plan.in_flight)
        self._open = asyncio.Semaphore(OPEN_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> WebhookSender:
        self._client = aiohttp.ClientSession(
            # The semaphore is the limit: waiting in the connector would count as the answer's time.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                while self._tasks:
                    await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._client.close()
        self._raise_error()

    async def send(self, delivery: ReportDelivery) -> None:
        """Start a delivery as soon as a request is allowed."""
        self._raise_error()
        await self._open.acquire()
        await self._requests.acquire()
        self.answers.sent += 1
        task = asyncio.create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._open.release()
        if not task.cancelled() and task.exception() is not None:
            self._error = self._error or task.exception()

    def _raise_error(self) -> None:
        """A failed attempt is a result; an exception in a task is a bug of ours."""
        if self._error is not None:
            raise self._error

    async def _deliver(self, delivery: ReportDelivery) -> None:
        """All attempts of one delivery. The caller has acquired the request of the first one."""
        is_twilio = delivery.report.source.startswith("twilio")
        policy: RetryPolicy = self._plan.twilio if is_twilio else self._telnyx
        webhook: OutgoingWebhook | None = None
        attempts, spent_s, doubtful = 0, 0.0, False
        while True:
            try:
                if not is_twilio:
                    webhook = self._telnyx_webhook(delivery, attempts)
                elif webhook is None:
                    webhook = twilio_webhook(delivery, self._plan.gateway, self._keys())
                result, seconds = await self._post(webhook, policy.limits(spent_s))
            finally:
                self._requests.release()
            attempts, spent_s = attempts + 1, spent_s + seconds
            self.answers.answered(result, seconds)
            if result.taken:
                self.answers.taken += 1
                delivery.arrived()
                return
            doubtful = doubtful or result.doubtful
            wait_s = policy.wait_s(result, attempts, spent_s)
            if wait_s is None:
                self.answers.gave_up(result, f"{delivery.call.key} {delivery.report.source}")
                if doubtful:
                    delivery.may_have_arrived()
                return
            spent_s += wait_s
            await asyncio.sleep(wait_s * self._plan.retry_scale)
            await self._requests.acquire()
            self.answers.retried += 1

    def _telnyx_webhook(self, delivery: ReportDelivery, failed_before: int) -> OutgoingWebhook:
        plan = self._plan
        to = (self._telnyx.is_failover(failed_before + 1) and plan.failover) or plan.gateway
        return telnyx_webhook(delivery, to, self._keys(), failed_before=failed_before, now_s=time.time())

    def _keys(self) -> SigningKeys:
        plan = self._plan
        return plan.signing if plan.keys_now is None else plan.keys_now(plan.signing)

    async def _post(self, webhook: OutgoingWebhook, limits: AttemptTimeouts) -> tuple[AttemptResult, float]:
        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(
            total=limits.total_s,
            sock_connect=limits.connect_s,
            sock_read=limits.answer_s,
            ceil_threshold=math.inf,  # otherwise aiohttp rounds 15 s up to 16
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
                result = AttemptResult(response.status)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            result = AttemptResult(0, connected=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            result = AttemptResult(0)
        return result, time.monotonic() - began
