"""aiokafka's clients, opened and closed so that nothing of them is left over.

The rule of this file: whoever gives a client up, at whatever moment, leaves no task, no connection and no
failure behind that nobody looks at. aiokafka's own `close` knows neither the requests that a producer's tasks
go on with, which open connections anew, nor a connection that was just being opened when it was cancelled.
What this leans on of aiokafka's inside is listed in `lanes/ground.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

AGAIN_S = 0.2
NEXT_S = 0.5
"""A broker that does not answer for so long has the next one asked beside it."""

T = TypeVar("T")


def ignore_failures(futures: Iterable[asyncio.Future[Any] | None]) -> None:
    """What these fail with, or have failed with, is of no interest: asyncio is not to complain of it."""
    for future in futures:
        if future is not None:
            future.add_done_callback(_heed)


def _heed(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


async def cancel_all(tasks: Collection[asyncio.Task[Any] | None]) -> None:
    """Cancel `tasks` until all of them have ended: some take a cancellation for that of a task of theirs."""
    ignore_failures(tasks)
    left = {task for task in tasks if task is not None and not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)


async def close(client: Any) -> None:
    """Close an AIOKafkaClient, with nothing more of it on the wire. Returns when all of it has ended."""
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
    """In place of a closed client's connections: whoever still opens one opens it in vain."""

    def __setitem__(self, key: Any, connection: Any) -> None:
        cut_off(connection)
        super().__setitem__(key, connection)


def cut_off(connection: Any) -> None:
    """Close an AIOKafkaConnection, whatever waits to be sent: a broker that is frozen takes none of it."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    connection.close()


def tidy(client: Any) -> Any:
    """Have an AIOKafkaClient that is given up while it is opened leave nothing. Returns it."""
    client.bootstrap = partial(bootstrap, client)
    return client


async def bootstrap(client: Any) -> None:
    """Replaces AIOKafkaClient.bootstrap: ask any broker of its addresses who there is. Raises KafkaError.

    aiokafka's asks one address after the other, as long as each lets it wait.
    """
    answer = await first(partial(_who_is_there, client, host, port) for host, port, _ in client.hosts)
    if answer is None:
        raise KafkaConnectionError(f"Unable to bootstrap from {client.hosts}")
    client.cluster.update_metadata(answer)
    if client._sync_task is None:
        client._sync_task = asyncio.create_task(client._md_synchronizer())


async def first(questions: Iterable[Callable[[], Coroutine[Any, Any, T | None]]]) -> T | None:
    """The first answer, or None. Each question is put when those before it have none or take long."""
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


async def _who_is_there(client: Any, host: str, port: int) -> Any:
    """The answer of one broker, None where it has none."""
    try:
        connection = await create_conn(
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
