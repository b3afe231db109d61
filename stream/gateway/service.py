"""The gateway as a role: put together, served until it is asked to stop, ended without losing anything.

The rule of this file: it puts together and decides nothing. To stop is to take no more connections, to answer
what was taken, to flush, and to leave with 0.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from stream.gateway import tls
from stream.gateway import waiting_bodies as waiting
from stream.gateway.diagnose.refused_requests import RefusedRequests
from stream.gateway.handlers import CallbackHandlers, RequestLimits, request_observer
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.waiting_bodies import WaitingBodies
from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer
from stream.kafka.oversized_records import REASON, DeadLetteringProducer
from stream.service.errors import said
from stream.service.http import health
from stream.service.http.connections import AT_MOST, Connections
from stream.service.http.descriptors import connections_at_most, raise_limit
from stream.service.http.server import HttpServer
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.label_values import UNKNOWN, LabelValues
from stream.service.settings import GatewaySettings
from stream.service.shutdown import stop_asked, unless

GARBAGE_THRESHOLD = 50_000
"""Objects made before the collector looks for cycles: a request makes hundreds, and hardly one among them."""

STOP_S = 8.0
"""What was taken has so long to be answered."""

LAST_ANSWERS_S = 1.5
"""Who is connected and silent keeps the gateway waiting for so long."""

FLUSH_S = 2.0
STAGE = "gateway"
"""Of the dead letters from here."""

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
    """Base URLs: where webhooks are taken, and the role's own HTTP."""

    webhooks: str
    health: str


@asynccontextmanager
async def serving(chosen: GatewaySettings) -> AsyncIterator[Addresses]:
    """A gateway at work while the block runs; gives where it is. `chosen.kafka` must name a broker.

    Raises ListenError, TlsError, KafkaError.
    """
    names = topics.names(chosen.topic_prefix)
    metrics = GatewayMetrics(LabelValues(account_alias=chosen.account_alias))
    logging.getLogger().addHandler(metrics.log_counter)
    credentials = GatewayCredentials.from_settings(chosen)
    for warning in warnings(credentials):
        log.warning("%s", warning)
    lander = AckedProducer(names.callbacks, {"bootstrap_servers": chosen.kafka}, produced=metrics.produced)
    connections = Connections(at_most=connections_at_most(AT_MOST, raise_limit()))
    if connections.at_most < AT_MOST:
        log.warning(FEW_DESCRIPTORS, connections.at_most)
    metrics.watch_connections(lambda: connections.cut)
    refused = RefusedRequests(credentials, chosen.data_dir)
    limits = RequestLimits(twilio_s=chosen.twilio_answer_s, telnyx_s=chosen.telnyx_answer_s)
    sink = DeadLetteringProducer(
        lander,
        topic=names.callbacks,
        dead_letters=names.dead_letters,
        stage=STAGE,
        dead_lettered=lambda one: metrics.dead_letter(getattr(one, "source", UNKNOWN), REASON),
    )
    handlers = CallbackHandlers(
        credentials, sink, metrics, refused.offer, limits, bodies=waiting_bodies(connections.at_most)
    )
    tasks: list[asyncio.Task[None]] = []
    secured = None
    if chosen.gateway_tls:
        certificate, key = chosen.gateway_tls
        secured = tls.context(certificate, key)
    server = HttpServer(
        application(handlers, metrics, body_limit_bytes=chosen.body_limit_bytes),
        connections,
        logger=quiet(metrics),
        shutdown_s=STOP_S,
        turned_away=handlers.turns_away,
    )
    await lander.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 100)
    background_tasks: dict[str, Coroutine[Any, Any, None]] = {
        "the watch over the broker": lander.watch(),
        "the watch over connections": server.watch(),
        "the signature doctor": refused.run(),
    }
    if secured is not None:
        background_tasks["the renewal of certificates"] = tls.renew(secured, certificate, key)
    tasks += [asyncio.create_task(work, name=name) for name, work in background_tasks.items()]
    try:
        async with health.serve(
            chosen.gateway_health_listen,
            metrics=metrics.exposition,
            live=lambda: live(tasks),
            ready=lambda: ready(lander.trouble(), credentials),
            setting="CALLSTREAM_GATEWAY_HEALTH_LISTEN",
        ) as own:
            try:
                yield Addresses(
                    await server.listen(chosen.gateway_listen, "CALLSTREAM_GATEWAY_LISTEN", secured), own
                )
            finally:
                await server.close(LAST_ANSWERS_S)  # waits for what was taken
    finally:
        await lander.close(FLUSH_S)
        for task in tasks:
            task.cancel()
        for task, result in zip(tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
            if isinstance(result, Exception):
                log.error("%s had ended: %s", task.get_name(), said(result))
        logging.getLogger().removeHandler(metrics.log_counter)


def waiting_bodies(connections_at_most: int) -> WaitingBodies:
    """Half of the connections may wait for their bodies, so that those never keep others out."""
    at_most = min(waiting.AT_MOST, connections_at_most // 2)
    return WaitingBodies(
        at_most=at_most, at_most_of_an_address=min(waiting.AT_MOST_OF_AN_ADDRESS, max(1, at_most // 2))
    )


def application(
    handlers: CallbackHandlers, metrics: GatewayMetrics, *, body_limit_bytes: int
) -> web.Application:
    """All that is on the public port: the callbacks' routes, and a bare status for whatever else."""
    app = web.Application(
        middlewares=[request_observer(metrics), health.bare_errors], client_max_size=body_limit_bytes
    )
    app.on_response_prepare.append(health.anonymous)
    handlers.add_routes(app)
    return app


def quiet(metrics: GatewayMetrics) -> logging.Logger:
    """For aiohttp's server, whose log quotes what is no HTTP: a request line may have numbers in it.

    Each is counted as malformed. What goes wrong in a handler is said by `request_observer`.
    """

    def count(record: logging.LogRecord) -> bool:
        failure = getattr(record, "failure", None) or (record.exc_info and record.exc_info[0])
        if failure and issubclass(failure, HttpProcessingError):
            metrics.rejected(UNKNOWN, "malformed")
        return False

    logger = logging.Logger("callstream.gateway.http", logging.DEBUG)  # noqa: LOG001 - of this server alone
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


def live(beside: Sequence[asyncio.Task[None]]) -> tuple[bool, Sequence[str]]:
    """Whether all that runs beside the doors still does. If not, a restart helps."""
    ended = [task.get_name() for task in beside if task.done()]
    return not ended, [f"{name} has ended" for name in ended]


def ready(trouble: str | None, credentials: GatewayCredentials) -> tuple[bool, Sequence[str]]:
    """Whether the broker takes writes; what else an operator should know is said beside it."""
    return trouble is None, [*([trouble] if trouble else []), *warnings(credentials)]


def warnings(credentials: GatewayCredentials) -> list[str]:
    """What is allowed or missing and should not go unseen."""
    by_url = bool(credentials.twilio_tokens or credentials.twilio_shared_keys)
    found = [HOST_CHOSEN] if by_url and not credentials.public_url else []
    if credentials.accept_unsigned:
        return [UNSIGNED, *found]
    return found if by_url or credentials.telnyx_keys else [NOBODY]
