"""How a role's command starts: its log, a broker, the topics, and errors that keep it from starting.

An error that an operator can fix is one sentence and exit code 1, never a traceback.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

from stream.broker import Broker, BrokerError, embedded
from stream.broker.ownership import find_running
from stream.cli.support.log_throttle import ClientLogThrottle
from stream.cli.support.terminal import Fault, say
from stream.faust_bridge import tested_versions
from stream.kafka import topics
from stream.kafka.errors import KafkaError
from stream.service import logs
from stream.service.data_dir import DataDirError
from stream.service.errors import describe, for_operator
from stream.service.http.listening import ListenError
from stream.service.settings import Settings, SettingsError
from stream.service.shutdown import stop_asked, unless
from stream.service.untrusted import LineFormatter

BROKER_LOOK_S = 1.0
START_AGAIN = 75
"""EX_TEMPFAIL: the embedded broker was killed. Nothing is lost, and a supervisor may restart both."""

NO_BROKER = "no broker runs here: set CALLSTREAM_KAFKA, or start `callstream up`"


def log_to_stderr(level: int = logging.WARNING, *, ours: int = logging.INFO) -> None:
    """`level`: of libraries; `ours`: of callstream itself. The text of errors is not logged, see `logs`."""
    logs.install()
    logging.basicConfig(level=level, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(ClientLogThrottle())
    logging.getLogger("callstream").setLevel(ours)


@contextmanager
def exit_on_error(*others: type[Exception]) -> Iterator[None]:
    """Turns errors that keep a role from starting into click's. `others`: more kinds that say what to do."""
    mendable: tuple[type[Exception], ...] = (
        SettingsError,
        BrokerError,
        topics.TopicError,
        ListenError,
        tested_versions.UntestedVersion,
        DataDirError,
        *others,
    )
    try:
        yield
    except mendable as error:
        raise Fault(for_operator(error)) from None
    except KafkaError as error:
        raise Fault(f"the broker does not answer: {describe(error)}") from None


async def on_a_broker(chosen: Settings, serve: Callable[[Settings], Awaitable[int]]) -> int:
    """Serve on the cluster of the settings, else on the embedded broker, after creating the topics.

    Returns 0 if it is asked to stop before that. Raises UntestedVersion before anything else is done.
    """
    tested_versions.check()
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            broker = await unless(asked, stack.enter_async_context(embedded(chosen, say=_say)))
            if broker is None:
                # Do not wait for the thread that starts it: its supervisor sees us exit.
                os._exit(0)
            chosen = dataclasses.replace(chosen, kafka=broker.bootstrap)
            if await unless(asked, topics.ensure(chosen.kafka, chosen)) is None:
                return 0
            watching = asyncio.create_task(_exit_with(broker))
            try:
                return await serve(chosen)
            finally:
                watching.cancel()


def known_bootstrap(settings: Settings) -> str | None:
    """The cluster of the settings, else the embedded broker that runs here; None if there is neither."""
    if settings.kafka:
        return settings.kafka
    running = find_running(settings.data_dir / "broker")
    return f"127.0.0.1:{running.port}" if running is not None else None


def _say(line: str) -> None:
    say(line, err=True)


async def ended(broker: Broker) -> tuple[str, bool]:
    """Waits until an embedded broker of this process has ended unexpectedly. See `Broker.why_ended`."""
    while not broker.ended():  # noqa: ASYNC110  the loop has no event for it
        await asyncio.sleep(BROKER_LOOK_S)
    return await asyncio.to_thread(broker.why_ended)


async def _exit_with(broker: Broker) -> None:
    """Exit when the broker ends: no role can stop cleanly without one."""
    sentence, of_the_disk = await ended(broker)
    say(f"Error: {sentence}", err=True)
    sys.stderr.flush()
    os._exit(1 if of_the_disk else START_AGAIN)
