"""`callstream archive` as a role: its parts, its start and its stop.

It reads what left the worker and writes it into the database; the worker does not know of it. To stop means:
what is being written is finished or refused by the database, exit with 0.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from stream.archive.database import archive_url, connect, reason_of
from stream.archive.questions import ArchiveError
from stream.archive.rows import DAY_US, day_of
from stream.archive.store.migrate import migrate
from stream.archive.store.retention import empty, oldest_day, retire
from stream.archive.writing.consumer import ArchiveConsumer
from stream.archive.writing.decoded_batch import ROLES
from stream.archive.writing.writer import ArchiveWriter
from stream.core.timestamps import SECOND_US
from stream.kafka import topics
from stream.kafka.access import archive_group
from stream.kafka.client.connection import connection
from stream.service import data_dir
from stream.service.background_tasks import live, log_ended
from stream.service.http import health
from stream.service.metrics.archive import ArchiveMetrics
from stream.service.metrics.registry import LabelChoice
from stream.service.process import collect_rarely, stop_asked, unless
from stream.service.settings import ArchiveSettings

RETIRE_EVERY_S = 600.0
FIRST_CALL_S = 30.0
"""Between two looks for a first call."""

RETRY_S, CLOSE_S = 5.0, 5.0
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
"""What SQLite says of a file in which nothing can be deleted."""

PAUSE_S = 0.05
"""Between two small deletions: batches are written meanwhile."""

log = logging.getLogger("callstream.archive")


@asynccontextmanager
async def serving(chosen: ArchiveSettings) -> AsyncIterator[ArchiveRole]:
    """The role at work while the block runs. `chosen.kafka` must name a broker.

    Raises ListenError, ArchiveError, DataDirError.
    """
    role = ArchiveRole(chosen)
    try:
        async with health.serve(
            chosen.archive_listen,
            metrics=role.metrics.exposition,
            live=role.live,
            ready=role.ready,
            setting="CALLSTREAM_ARCHIVE_LISTEN",
        ) as url:
            role.url = url
            await role.start()
            yield role
    finally:
        await role.close()


class ArchiveRole:
    """The parts of the role. Raises ArchiveError, DataDirError."""

    def __init__(self, chosen: ArchiveSettings) -> None:
        names = topics.names(chosen.topic_prefix)
        if not chosen.archive_url:
            data_dir.prepare(chosen.data_dir)
        self.url = ""
        self.metrics = ArchiveMetrics(topics.roles(names), LabelChoice(providers=chosen.metric_providers))
        logging.getLogger().addHandler(self.metrics.log_counter)
        self._days = chosen.archive_retention_days
        self._engine = connect(archive_url(chosen.archive_url, chosen.data_dir), reads_only=False)
        self._consumer = ArchiveConsumer(
            connection(chosen, "archive", partitions=chosen.partitions),
            {getattr(names, role): role for role in ROLES},
            archive_group(chosen.topic_prefix),
            chosen.session_timeout_s,
            ArchiveWriter(self._engine),
            self.metrics,
        )
        self._is_migrated = False
        self._trouble: str | None = None
        """Why the tables cannot be brought up to date; None where they can."""
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Bring the tables up to date, then read. Raises ArchiveError."""
        await self._migrate()
        self.tasks["the archive's reader"] = asyncio.create_task(self._consumer.run())
        self.tasks["the archive's retention"] = asyncio.create_task(self._retire())

    async def _migrate(self) -> None:
        while not self._is_migrated:
            try:
                await self._consumer.in_thread(partial(migrate, self._engine))
            except SQLAlchemyError as error:
                why = reason_of(error)
                if why != self._trouble:
                    log.error("the archive's database does not answer, retrying (%s)", why)
                self._trouble = why
                self.metrics.failed("database")
                await asyncio.sleep(RETRY_S)
            else:
                self._is_migrated, self._trouble = True, None
                self.metrics.goes_on()

    async def _retire(self) -> None:
        """Delete what is older than the retention, and say how old the oldest call is."""
        while True:
            pause_s = RETIRE_EVERY_S
            today = day_of(time.time_ns() // 1000)
            try:
                while rows := await self._consumer.in_thread(
                    partial(retire, self._engine, today - self._days)
                ):
                    self.metrics.removed("retention", rows)
                    await asyncio.sleep(PAUSE_S)
                oldest = await self._consumer.in_thread(partial(oldest_day, self._engine))
                self.metrics.oldest(0 if oldest is None else oldest * DAY_US / SECOND_US)
                if oldest is None:
                    pause_s = FIRST_CALL_S
            except SQLAlchemyError as error:
                log.warning("old rows of the archive were not deleted, retrying (%s)", reason_of(error))
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        with suppress(TimeoutError):  # of a database that is frozen: the process ends without it
            async with asyncio.timeout(CLOSE_S):
                # A connection that is still used would never be closed.
                await self._consumer.close(self._engine.dispose)
        logging.getLogger().removeHandler(self.metrics.log_counter)

    def live(self) -> tuple[bool, Sequence[str]]:
        return live(self.tasks)

    def ready(self) -> tuple[bool, Sequence[str]]:
        """Whether the database takes what is written, and the group has told this member its partitions."""
        trouble = self._trouble or self._consumer.trouble
        reasons = [f"the archive's database does not answer ({trouble})"] if trouble else []
        if not self._is_migrated and not trouble:
            reasons.append("the archive's tables are being brought up to date")
        if (other := self._consumer.topics.other) is not None:
            reasons.append(f"the archive was written from other topics ({other})")
        if not self._consumer.is_assigned.is_set():
            reasons.append("the consumer group has not assigned partitions yet")
        return not reasons, reasons


def rebuild(chosen: ArchiveSettings) -> None:
    """Empty the archive, so that the role writes it again from the topics.

    Raises ArchiveError, DataDirError.
    """
    if not chosen.archive_url:
        data_dir.prepare(chosen.data_dir)
    engine = connect(archive_url(chosen.archive_url, chosen.data_dir), reads_only=False)
    try:
        migrate(engine)
        empty(engine)
    except SQLAlchemyError as error:
        why = reason_of(error)
        if why.startswith(DAMAGED):
            raise ArchiveError(
                f"the archive's file is damaged ({why}): move it away, and start the role without --rebuild, "
                "which writes a new one"
            ) from None
        raise ArchiveError(f"the archive's database does not answer ({why})") from None
    finally:
        engine.dispose()


async def serve(chosen: ArchiveSettings) -> int:
    """Serve until SIGTERM or SIGINT, or until a background task has ended. Returns the exit code."""
    collect_rarely()
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            role = await unless(asked, stack.enter_async_context(serving(chosen)))
            if role is not None:
                log.info("health and metrics at %s", role.url)
                tasks = role.tasks
                await unless(asked, asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED))
                if not asked.is_set():
                    log_ended(tasks)
                    return 1
            log.info("stopping")
    return 0
