"""How a role's command starts: its log, a broker, the topics, and errors that keep it from starting.

An error that an operator can fix is one sentence and an exit code of the table, never a traceback.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

from stream.broker import Broker, BrokerError, embedded
from stream.broker.ownership import find_running
from stream.cli.support import log_levels
from stream.cli.support.exit_codes import FAILED, MISUSE, NO_KAFKA, START_AGAIN, TOPIC_MISMATCH
from stream.cli.support.log_throttle import ClientLogThrottle
from stream.cli.support.terminal import Fault, say
from stream.faust_bridge import tested_versions
from stream.kafka import topics
from stream.kafka.access import missing, named
from stream.kafka.client.connection import Connection, connection
from stream.kafka.errors import KafkaError, reaction
from stream.kafka.reachability import obstacle
from stream.kafka.topic_reader import MissingTopicError
from stream.service import logs
from stream.service.data_dir import DataDirError
from stream.service.errors import describe, for_operator
from stream.service.http.listening import ListenError
from stream.service.process import stop_asked, unless
from stream.service.settings import RoleSettings, Settings, SettingsError
from stream.service.untrusted import JsonFormatter, LineFormatter

BROKER_LOOK_S = 1.0
SILENT_S = 3.0
RIGHTS_LIMIT_S = 10.0

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("callstream")


class NoBrokerError(Exception):
    """The settings name no Kafka, and no embedded one runs."""


def quiet_clients() -> None:
    """Keep aiokafka's log off a command's output: it has a line for each failed connection, the command says
    once what is wrong."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def log_to_stderr(chosen: RoleSettings, *, verbose: bool = False, process: int | None = None) -> None:
    """Log callstream's own lines and the libraries' warnings. The text of errors is not logged, see `logs`.

    `verbose`: more of both, and a line for each webhook. A logger's own level in the settings comes first.
    `process`: the number of a worker's process, which each line then has.
    """
    line = LINE if process is None else LINE.replace("%(name)s", f"process {process} %(name)s")
    logs.install(_log_uncaught if chosen.log_format == "json" else logs.write_error)
    log_levels.lower()
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter(process) if chosen.log_format == "json" else LineFormatter(line))
        handler.addFilter(ClientLogThrottle())
    logging.getLogger("callstream.gateway.access").setLevel(logging.INFO if verbose else logging.WARNING)
    levels = {"callstream": "info", **dict(chosen.log_level)}
    if verbose:
        levels["callstream"] = "debug"
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level.upper())


def _log_uncaught(error: BaseException | None, of: str) -> None:
    if error is not None:
        log.critical("%san error was not caught", of, exc_info=error)


_CODES: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, MISUSE),
    (topics.TopicMismatch, TOPIC_MISMATCH),
    (topics.TopicError, NO_KAFKA),
    (BrokerError, NO_KAFKA),
    (NoBrokerError, NO_KAFKA),
    (KafkaError, NO_KAFKA),
    (MissingTopicError, NO_KAFKA),
    (ListenError, FAILED),
    (tested_versions.UntestedVersion, FAILED),
    (DataDirError, FAILED),
)


@contextmanager
def exit_on_error(
    *misuse: type[Exception],
    away: tuple[type[Exception], ...] = (),
    as_json: bool = False,
) -> Iterator[None]:
    """Turns an error that an operator can mend into a Fault: one sentence and an exit code.

    More kinds than the usual ones: `misuse`, which say what to change in the command or the settings, and
    `away`, which mean that Kafka does not answer.
    """
    mendable = (*(kind for kind, _ in _CODES), *misuse, *away)
    try:
        yield
    except mendable as error:
        known = next((code for kind, code in _CODES if isinstance(error, kind)), MISUSE)
        code = NO_KAFKA if isinstance(error, away) else known
        says = for_operator(error)
        if isinstance(error, KafkaError):
            says = f"the broker {reaction(error)}: {describe(error)}"
        details = {}
        if isinstance(error, topics.TopicMismatch):
            details = {"topic": error.topic, "wanted": error.wanted, "found": error.found}
        raise Fault(says, code, as_json=as_json, **details) from None


@contextmanager
def naming_obstacle(cluster: Connection, *, as_json: bool = False) -> Iterator[None]:
    """Says of a cluster that fails a command which address keeps it out, why, and what to check."""
    try:
        yield
    except KafkaError as error:
        says = f"the broker at {cluster.bootstrap} {reaction(error)}: {describe(error)}"
        why = asyncio.run(obstacle(cluster, topics.OBSTACLE_STEP_S))
        raise Fault(str(why or says), NO_KAFKA, as_json=as_json) from None


async def on_a_broker(role: str, chosen: Settings, serve: Callable[[Settings], Awaitable[int]]) -> int:
    """Serve on the cluster of the settings, else on the embedded broker, after creating the topics.

    Returns 0 if it is asked to stop before that. Raises UntestedVersion before anything else is done.
    """
    tested_versions.check()
    tell = log.info if chosen.log_format == "json" else _say
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            broker = await unless(asked, stack.enter_async_context(embedded(chosen, say=tell)))
            if broker is None:
                return 0
            chosen = dataclasses.replace(chosen, kafka=broker.bootstrap)
            if await unless(asked, ensured_topics(chosen, tell)) is None:
                return 0
            await unless(asked, warn_of_missing_rights(role, chosen))
            if asked.is_set():
                return 0
            watching = asyncio.create_task(_exit_with(broker, chosen))
            try:
                return await serve(chosen)
            finally:
                watching.cancel()


async def warn_of_missing_rights(role: str, chosen: Settings) -> None:
    """Say at start, in one line, what the cluster will refuse later, each time in other words."""
    if chosen.kafka_security == "plaintext":
        return  # an ACL names a user, and without TLS and a login there is none
    with suppress(KafkaError, OSError):  # a cluster that does not tell
        async with asyncio.timeout(RIGHTS_LIMIT_S):
            lacking = await missing(connection(chosen, role), role, chosen.topic_prefix)
            if lacking:
                log.warning("rights are missing: %s; grant them, as docs/kafka.md has it", named(lacking))


def _say(line: str) -> None:
    say(line, err=True)


async def ensured_topics(chosen: Settings, tell: Callable[[str], None] = _say) -> list[str]:
    """`topics.ensure` for a command: nobody looks at a silent terminal for a minute."""
    says = f"waiting up to {topics.WAIT_S:.0f} s for Kafka at {chosen.kafka} …"
    word = asyncio.get_running_loop().call_later(SILENT_S, tell, says)
    try:
        return await topics.ensure(chosen.kafka, chosen)
    finally:
        word.cancel()


def known_bootstrap(settings: Settings) -> str | None:
    """The cluster of the settings, else the embedded broker that runs here, though it may not answer; None if
    there is neither.
    """
    if settings.kafka:
        return settings.kafka
    running = find_running(settings.data_dir / "broker", silent_too=True)
    return f"127.0.0.1:{running.port}" if running is not None else None


def required_bootstrap(settings: Settings) -> str:
    """The same. Raises NoBrokerError."""
    bootstrap = known_bootstrap(settings)
    if bootstrap is None:
        raise NoBrokerError("no broker runs here: set CALLSTREAM_KAFKA, or start `callstream up`")
    return bootstrap


async def ended(broker: Broker) -> tuple[str, bool]:
    """Waits until an embedded broker of this process has ended unexpectedly. See `Broker.why_ended`."""
    while not broker.ended():  # noqa: ASYNC110  the loop has no event for it
        await asyncio.sleep(BROKER_LOOK_S)
    return await asyncio.to_thread(broker.why_ended)


async def _exit_with(broker: Broker, chosen: RoleSettings) -> None:
    """Exit when the broker ends: no role can stop cleanly without one."""
    sentence, of_the_disk = await ended(broker)
    with suppress(OSError):  # the log may be on the disk that is full
        if chosen.log_format == "json":
            log.critical("%s", sentence)
        else:
            _say(f"Error: {sentence}")
    os._exit(FAILED if of_the_disk else START_AGAIN)
