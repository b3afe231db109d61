"""`callstream api` as a role: its parts, its start and its stop.

It reads the archive and the topics, and writes nothing. Any number of replicas run side by side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from litestar.types import ControllerRouterHandler

from stream.api import server
from stream.api.access.caller import Callers
from stream.api.access.token_files import FIELDS, TokenFiles
from stream.api.app import make_app, tokens_of
from stream.api.archive_reads import ArchiveReads
from stream.api.compatible import routes as compatible
from stream.api.live import routes as live_streams
from stream.api.live.feed import LiveFeed
from stream.api.parts import ApiParts
from stream.api.questions import routes as questions
from stream.api.ui import routes as ui
from stream.archive.database import archive_url
from stream.archive.reader import open_archive
from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.service.background_tasks import cancel, live, log_ended
from stream.service.http import health
from stream.service.metrics.api import ApiMetrics
from stream.service.process import stop_asked, unless
from stream.service.settings import ApiSettings, secret_files
from stream.service.tables.api_tokens import ApiToken

OPEN_TO_LOCAL = (
    "no token is configured: requests from this machine are answered, others are refused; "
    "`callstream api token` makes one"
)

log = logging.getLogger("callstream.api")


class RunningApi(NamedTuple):
    """- `url`, `health_url`: where it answers. - `tasks`: what runs in the background, by name."""

    url: str
    health_url: str
    tasks: Mapping[str, asyncio.Task[None]]


def routes() -> Sequence[ControllerRouterHandler]:
    return [*questions.routes(), *live_streams.routes(), *compatible.routes(), *ui.routes()]


def live_feed(chosen: ApiSettings, metrics: ApiMetrics, callers: Callers) -> LiveFeed:
    names = topics.names(chosen.topic_prefix)
    return LiveFeed(
        connection(chosen, "api"),
        {"event": names.events, "call": names.ended, "alert": names.alerts},
        most=chosen.api_live_subscribers,
        read=metrics.live_record,
        knows=callers.knows,
    )


def token_files(
    chosen: ApiSettings, metrics: ApiMetrics, callers: Callers, feed: LiveFeed
) -> TokenFiles | None:
    """What reads the files of tokens again; None where there are none."""

    def use(tokens: Sequence[ApiToken]) -> None:
        callers.use(tokens)
        feed.end_unknown()

    named = secret_files()
    files = {name: named[name] for name in FIELDS if name in named}
    return TokenFiles(chosen, files, use, metrics.tokens_read) if files else None


@asynccontextmanager
async def serving(chosen: ApiSettings) -> AsyncIterator[RunningApi]:
    """The role at work while the block runs. Raises ListenError."""
    metrics = ApiMetrics()
    logging.getLogger().addHandler(metrics.log_counter)
    reads = ArchiveReads(chosen.api_threads, chosen.api_archive_timeout_s, metrics.archive_read)
    callers = Callers(tokens_of(chosen))
    if not callers.are_configured:
        log.warning("%s", OPEN_TO_LOCAL)
    tasks: dict[str, asyncio.Task[None]] = {}
    try:
        async with AsyncExitStack() as stack:
            database = archive_url(chosen.archive_url, chosen.data_dir)
            archive = open_archive(database, chosen.privacy_key, readers=chosen.api_threads)
            stack.callback(archive.close)
            feed = live_feed(chosen, metrics, callers)
            tasks["the feed of live streams"] = asyncio.create_task(feed.run())
            if (files := token_files(chosen, metrics, callers, feed)) is not None:
                tasks["the reader of token files"] = asyncio.create_task(files.run())
            stack.push_async_callback(cancel, tasks.values())
            app = make_app(ApiParts(archive, chosen, metrics, callers, reads, feed), routes())
            url, tasks["the HTTP server"] = await stack.enter_async_context(
                server.serving(app, chosen.api_listen, "CALLSTREAM_API_LISTEN")
            )
            stack.callback(feed.end, "stopping")  # before the server waits for its answers
            health_url = await stack.enter_async_context(
                health.serve(
                    chosen.api_health_listen,
                    metrics=metrics.exposition,
                    live=lambda: live(tasks),
                    ready=lambda: ready(tasks, reads.trouble),
                    setting="CALLSTREAM_API_HEALTH_LISTEN",
                )
            )
            yield RunningApi(url, health_url, tasks)
    finally:
        reads.close()
        logging.getLogger().removeHandler(metrics.log_counter)


def ready(tasks: Mapping[str, asyncio.Task[None]], trouble: str | None) -> tuple[bool, Sequence[str]]:
    """Whether it answers. It stays ready while the archive is away: another replica would do no better."""
    is_live, reasons = live(tasks)
    return is_live, [*reasons, *([trouble] if trouble is not None else [])]


async def serve(chosen: ApiSettings) -> int:
    """Serve until SIGTERM or SIGINT, or until a background task has ended. Returns the exit code."""
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            running = await unless(asked, stack.enter_async_context(serving(chosen)))
            if running is not None:
                log.info("the API answers at %s, health and metrics at %s", running.url, running.health_url)
                tasks = running.tasks
                await unless(asked, asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED))
                if not asked.is_set():
                    log_ended(tasks)
                    return 1
            log.info("stopping")
    return 0
