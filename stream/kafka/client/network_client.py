"""aiokafka's network client, opened and closed so that nothing of it is left over.

A client that is closed or abandoned at any moment leaves no task, no connection and no unretrieved exception
behind. aiokafka's own `close` misses the requests that a producer's tasks still make, which open connections
again, and a connection that was being opened when it was cancelled.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError, KafkaError
from aiokafka.protocol.api import Request
from aiokafka.protocol.metadata import MetadataRequest

CANCEL_AGAIN_S = 0.2
CLOSED_S = 0.5
"""Limit for the event loop to close a connection that was cut off."""
NEXT_S = 0.5
"""When a broker has not answered for this long, the next one is asked as well."""

T = TypeVar("T")


class NeededRequest(Request[T]):
    """A request that has no older form: a broker that does not know it is refused with a sentence."""

    API_KEY = -1

    def prepare(self, versions: dict[int, tuple[int, int]]) -> T:
        """Extends Request.prepare. Raises IncompatibleBrokerVersion."""
        least, most = versions.get(self.API_KEY, (0, -1))
        if not any(least <= known.API_VERSION <= most for known in self._CLASSES):
            raise IncompatibleBrokerVersion("the broker is too old: Kafka 2.5 or newer is needed")
        prepared: T = super().prepare(versions)
        return prepared


async def ask_any(asking: Any, request: Request[Any]) -> Any:
    """The answer of any broker. Raises KafkaError, OSError.

    - `asking`: a consumer of aiokafka's, or an admin client.
    """
    client = asking._client
    return await client.send(client.get_random_node(), request)


def ignore_failures(futures: Iterable[asyncio.Future[Any] | None]) -> None:
    """Retrieve the exceptions of these futures, so that asyncio does not warn about them."""
    for future in futures:
        if future is not None:
            future.add_done_callback(_retrieve)


def _retrieve(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


async def cancel_all(tasks: Collection[asyncio.Task[Any] | None]) -> None:
    """Cancel `tasks` until all of them have ended. Some mistake a cancellation for that of their own task."""
    ignore_failures(tasks)
    left = {task for task in tasks if task is not None and not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


async def close(client: Any) -> None:
    """Close an AIOKafkaClient: nothing is sent any more. Returns when its tasks have ended."""
    syncing, client._sync_task = client._sync_task, None
    connections, client._conns = client._conns, _CutOff()
    ending: list[asyncio.Future[Any]] = []
    if syncing is not None:
        syncing.cancel()
    for connection in connections.values():
        ending += [one for one in (connection._read_task, connection._closed_fut) if one is not None]
        cut_off(connection)
    await cancel_all([syncing])
    if ending:
        await asyncio.wait(ending)


class _CutOff(dict[Any, Any]):
    """Replaces a closed client's connections: one that is still opened is closed at once."""

    def __setitem__(self, key: Any, connection: Any) -> None:
        cut_off(connection)
        super().__setitem__(key, connection)


def cut_off(connection: Any, reason: CloseReason | None = None) -> None:
    """Close an AIOKafkaConnection without sending what waits: a frozen broker would take none of it."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    connection.close(reason)


async def opened(host: str, port: int, **settings: Any) -> AIOKafkaConnection:
    """A connection, ready for requests. `settings`: aiokafka's. Raises OSError, KafkaError, TimeoutError.

    aiokafka ends an attempt that fails (a refused login) as TLS wants it, and waits for no answer to that: a
    command would be over before, with the connection open.
    """
    connection = AIOKafkaConnection(host, port, **settings)
    try:
        await connection.connect()
    except BaseException:
        transport = getattr(connection._protocol, "_transport", None)  # None where it is closed already
        if transport is not None:
            with contextlib.suppress(AttributeError):  # of TLS, that was closed twice already
                transport.abort()
            await asyncio.wait([connection._closed_fut], timeout=CLOSED_S)
        raise
    return connection


async def bootstrap(client: Any) -> None:
    """Replaces AIOKafkaClient.bootstrap: ask the addresses for the brokers, without waiting for each.

    aiokafka's asks one address after the other, and waits for each as long as it hangs. Raises KafkaError.
    """
    answer = await first(partial(_brokers_known_to, client, host, port) for host, port, _ in client.hosts)
    if answer is None:
        raise KafkaConnectionError(f"Unable to bootstrap from {client.hosts}")
    client.cluster.update_metadata(answer)
    if client._sync_task is None:
        client._sync_task = asyncio.create_task(client._md_synchronizer())


async def first(questions: Iterable[Callable[[], Coroutine[Any, Any, T | None]]]) -> T | None:
    """The first answer, or None. Each question is asked when those before it have failed or take long."""
    waiting = deque(questions)
    asked: set[asyncio.Task[T | None]] = set()
    try:
        while waiting or asked:
            if waiting:
                asked.add(asyncio.create_task(waiting.popleft()()))
            done, asked = await asyncio.wait(
                asked, timeout=NEXT_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            ignore_failures(done)
            for answer in [task.result() for task in done]:
                if answer is not None:
                    return answer
    finally:
        await cancel_all(asked)
    return None


async def _brokers_known_to(client: Any, host: str, port: int) -> Any:
    """The brokers, as one of them lists them; None where it does not answer."""
    try:
        connection = await opened(
            host,
            port,
            client_id=client._client_id,
            request_timeout_ms=client._request_timeout_ms,
            ssl_context=client._ssl_context,
            security_protocol=client._security_protocol,
            max_idle_ms=client._connections_max_idle_ms,
            sasl_mechanism=client._sasl_mechanism,
            sasl_plain_username=client._sasl_plain_username,
            sasl_plain_password=client._sasl_plain_password,
            sasl_kerberos_service_name=client._sasl_kerberos_service_name,
            sasl_kerberos_domain_name=client._sasl_kerberos_domain_name,
            sasl_oauth_token_provider=client._sasl_oauth_token_provider,
        )
    except (OSError, KafkaError, TimeoutError):
        return None
    try:
        answer = await connection.send(MetadataRequest([]))
    except (OSError, KafkaError, TimeoutError):
        return None
    finally:
        reader = connection._read_task
        cut_off(connection)
        await cancel_all([reader])
    return answer if answer.brokers else None
