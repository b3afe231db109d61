"""How a role's command starts: its log, a broker, the topics; and how it tells what keeps it from starting.

The rule of this file: what an operator can mend is one sentence and exit code 1, never a traceback.
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
from stream.cli.support.log_throttle import ClientLogThrottle
from stream.cli.support.terminal import Fault, say
from stream.faust_bridge import tested_versions
from stream.kafka import topics
from stream.kafka.errors import KafkaError
from stream.service import logs
from stream.service.data_dir import DataDirError
from stream.service.errors import in_words, said
from stream.service.http.listening import ListenError
from stream.service.settings import Settings, SettingsError
from stream.service.shutdown import stop_asked, unless
from stream.service.untrusted import LineFormatter

BROKER_LOOK_S = 1.0
START_AGAIN = 75
"""EX_TEMPFAIL: the embedded broker was killed; nothing is lost, and a supervisor may start both again."""


def log_to_stderr(level: int = logging.WARNING, *, ours: int = logging.INFO) -> None:
    """`level`: of libraries; `ours`: of callstream itself. No error's text gets there, see `logs`."""
    logs.install()
    logging.basicConfig(level=level, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(ClientLogThrottle())
    logging.getLogger("callstream").setLevel(ours)


@contextmanager
def exit_on_error(*others: type[Exception]) -> Iterator[None]:
    """What keeps a role from starting, as click tells it. `others`: more kinds that say what to do."""
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
        raise Fault(in_words(error)) from None
    except KafkaError as error:
        raise Fault(f"the broker does not answer: {said(error)}") from None


async def on_a_broker(chosen: Settings, serve: Callable[[Settings], Awaitable[int]]) -> int:
    """Serve on the cluster that the settings name, else on the embedded broker; the topics are there.

    Whoever asks it to stop before is obeyed: 0. Raises UntestedVersion before anything else is done.
    """
    tested_versions.check()
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            broker = await unless(asked, stack.enter_async_context(embedded(chosen, say=_say)))
            if broker is None:
                # The thread that starts it is not to be waited for; its supervisor sees us leave.
                os._exit(0)
            chosen = dataclasses.replace(chosen, kafka=broker.bootstrap)
            if await unless(asked, topics.ensure(chosen.kafka, chosen)) is None:
                return 0
            watching = asyncio.create_task(_end_with(broker))
            try:
                return await serve(chosen)
            finally:
                watching.cancel()


def _say(line: str) -> None:
    say(line, err=True)


async def ended(broker: Broker) -> tuple[str, bool]:
    """Returns when an embedded broker of this process has ended unasked: see `Broker.why_ended`."""
    while not broker.ended():  # noqa: ASYNC110  a process's end is no event of the loop's
        await asyncio.sleep(BROKER_LOOK_S)
    return await asyncio.to_thread(broker.why_ended)


async def _end_with(broker: Broker) -> None:
    """End the process with it: no role stops in order without a broker."""
    sentence, of_the_disk = await ended(broker)
    say(f"Error: {sentence}", err=True)
    sys.stderr.flush()
    os._exit(1 if of_the_disk else START_AGAIN)
