"""The gateway as a role: its parts are put together, served, and stopped without losing anything.

Nothing is decided here. To stop means: stop accepting connections, answer the accepted requests, flush, and
exit with 0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from stream.contracts.published import published
from stream.gateway import tls
from stream.gateway import waiting_bodies as waiting
from stream.gateway.diagnose.refused_requests import RefusedRequests
from stream.gateway.handlers import CallbackHandlers, RequestLimits, request_observer
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.waiting_bodies import WaitingBodies
from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer
from stream.kafka.client.connection import connection
from stream.kafka.oversized_records import REASON, DeadLetteringProducer
from stream.service.errors import describe
from stream.service.http import health
from stream.service.http.connections import AT_MOST, Connections, connections_at_most, raise_limit
from stream.service.http.server import HttpServer
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.label_values import UNKNOWN
from stream.service.metrics.registry import LabelChoice
from stream.service.process import collect_rarely, stop_asked, unless
from stream.service.settings import GatewaySettings

STOP_S = 8.0
"""Accepted requests must be answered within this time, or within that which Kafka has for each."""

LAST_ANSWERS_S = 1.5
"""A silent connection delays the end by this time at most."""

FLUSH_S = 2.0
STAGE = "gateway"
"""The stage that the gateway's dead letters name."""

FEW_DESCRIPTORS = (
    "There is room for %d connections at once: raise the limit of open files (ulimit -n, LimitNOFILE)"
)
UNSIGNED = "webhooks without a signature are accepted (CALLSTREAM_UNSIGNED_CALLBACKS)"
HOST_CHOSEN = (
    "CALLSTREAM_PUBLIC_URL is not set: a request's Host header chooses the URL that Twilio's signature is "
    "checked against"
)
NOBODY = "no token of Twilio and no key of Telnyx is configured: every webhook is refused"

log = logging.getLogger("callstream.gateway")


class Addresses(NamedTuple):
    """Base URLs: of the webhooks, and of the role's own HTTP."""

    webhooks: str
    health: str


@asynccontextmanager
async def serving(chosen: GatewaySettings) -> AsyncIterator[Addresses]:
    """Runs a gateway while the block runs, and yields its addresses. `chosen.kafka` must name a broker.

    Raises ListenError, TlsError, KafkaError.
    """
    names = topics.names(chosen.topic_prefix)
    metrics = GatewayMetrics(topics.roles(names), LabelChoice(providers=chosen.metric_providers))
    logging.getLogger().addHandler(metrics.log_counter)
    credentials = GatewayCredentials.from_settings(chosen)
    for warning in warnings(credentials):
        log.warning("%s", warning)
    cluster = connection(chosen, "gateway", partitions=chosen.partitions)
    producer = AckedProducer(names.callbacks, cluster, produced=metrics.produced)
    connections = Connections(at_most=connections_at_most(AT_MOST, raise_limit()))
    if connections.at_most < AT_MOST:
        log.warning(FEW_DESCRIPTORS, connections.at_most)
    metrics.watch_connections(lambda: connections.cut)
    refused = RefusedRequests(credentials, chosen.data_dir)
    limits = RequestLimits(twilio_s=chosen.twilio_answer_s, telnyx_s=chosen.telnyx_answer_s)
    sink = DeadLetteringProducer(
        producer,
        topic=names.callbacks,
        dead_letters=names.dead_letters,
        stage=STAGE,
        dead_lettered=lambda one: metrics.dead_letter(getattr(one, "source", UNKNOWN), REASON),
    )
    handlers = CallbackHandlers(
        credentials, sink, metrics, refused.offer, limits, bodies=waiting_bodies(connections.at_most)
    )
    secured = tls.chosen_context(chosen)
    server = HttpServer(
        application(handlers, metrics, body_limit_bytes=chosen.body_limit_bytes),
        connections,
        logger=quiet(metrics),
        shutdown_s=max(STOP_S, limits.twilio_s + 1.0),
        rejects=handlers.turns_away,
    )
    await producer.start()
    collect_rarely()
    work: dict[str, Coroutine[Any, Any, None]] = {
        "the watch over the broker": producer.watch(),
        "the watch over connections": server.watch(),
        "the signature doctor": refused.run(),
    }
    if secured is not None:
        certificate, key = chosen.gateway_tls
        work["the renewal of certificates"] = tls.renew(secured, certificate, key)
    background_tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
    try:
        async with health.serve(
            chosen.gateway_health_listen,
            metrics=metrics.exposition,
            live=lambda: live(background_tasks),
            ready=lambda: ready(producer.trouble(), credentials),
            documents=lambda: published(chosen),
            setting="CALLSTREAM_GATEWAY_HEALTH_LISTEN",
        ) as own:
            try:
                yield Addresses(
                    await server.listen(chosen.gateway_listen, "CALLSTREAM_GATEWAY_LISTEN", secured), own
                )
            finally:
                await server.close(LAST_ANSWERS_S)  # waits for the accepted requests
    finally:
        await producer.close(FLUSH_S)
        for task in background_tasks:
            task.cancel()
        results = await asyncio.gather(*background_tasks, return_exceptions=True)
        for task, result in zip(background_tasks, results, strict=True):
            if isinstance(result, Exception):
                log.error("%s had ended: %s", task.get_name(), describe(result))
        logging.getLogger().removeHandler(metrics.log_counter)


def waiting_bodies(connections_at_most: int) -> WaitingBodies:
    """At most half of the connections may wait for their bodies, so that these never keep others out."""
    at_most = min(waiting.AT_MOST, connections_at_most // 2)
    return WaitingBodies(
        at_most=at_most, at_most_of_an_address=min(waiting.AT_MOST_OF_AN_ADDRESS, max(1, at_most // 2))
    )


def application(
    handlers: CallbackHandlers, metrics: GatewayMetrics, *, body_limit_bytes: int
) -> web.Application:
    """The public port: the callback routes, and a bare status for everything else."""
    app = web.Application(middlewares=[request_observer(metrics)], client_max_size=body_limit_bytes)
    handlers.add_routes(app)
    return app


def quiet(metrics: GatewayMetrics) -> logging.Logger:
    """A silent logger for aiohttp's server, which would quote invalid HTTP: a request line may hold numbers.

    Each such request is counted as malformed. `request_observer` logs what goes wrong in a handler.
    """

    def count(record: logging.LogRecord) -> bool:
        failure = getattr(record, "failure", None) or (record.exc_info and record.exc_info[0])
        if failure and issubclass(failure, HttpProcessingError):
            metrics.rejected(UNKNOWN, "malformed")
        return False

    logger = logging.Logger("callstream.gateway.http", logging.DEBUG)  # noqa: LOG001 - for this server alone
    logger.addFilter(count)
    return logger


async def serve(chosen: GatewaySettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            at = await unless(asked, stack.enter_async_context(serving(chosen)))
            if at is not None:
                log.info("webhooks at %s, health and metrics at %s", at.webhooks, at.health)
                await asked.wait()
            log.info("stopping")
    return 0


def live(background_tasks: Sequence[asyncio.Task[None]]) -> tuple[bool, Sequence[str]]:
    """Whether every background task still runs. If not, a restart helps."""
    ended = [task.get_name() for task in background_tasks if task.done()]
    return not ended, [f"{name} has ended" for name in ended]


def ready(trouble: str | None, credentials: GatewayCredentials) -> tuple[bool, Sequence[str]]:
    """Whether the broker accepts writes, and everything else that an operator should know."""
    return trouble is None, [*([trouble] if trouble else []), *warnings(credentials)]


def warnings(credentials: GatewayCredentials) -> list[str]:
    """What is allowed or missing, and should not go unnoticed."""
    by_url = bool(credentials.twilio_tokens or credentials.twilio_shared_keys)
    found = [HOST_CHOSEN] if by_url and not credentials.public_url else []
    if credentials.accept_unsigned:
        return [UNSIGNED, *found]
    return found if by_url or credentials.telnyx_keys else [NOBODY]
