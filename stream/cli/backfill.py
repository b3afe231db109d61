"""`callstream backfill`: has the pollers read a past time again, at the lowest priority.

The command requests the backfill and shows its progress; it needs Kafka only. Exit code 0: done, or with
--cancel cancelled. 1: it failed or was cancelled. 130, by Ctrl-C: the pollers continue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import msgspec

from stream.cli.support.exit_codes import DONE, FAILED, INTERRUPTED
from stream.cli.support.progress import ProgressLine
from stream.cli.support.startup import exit_on_error, quiet_clients, required_bootstrap
from stream.cli.support.terminal import say
from stream.cli.support.time_args import parse_time, second_after, second_before
from stream.core.sources import POLLED_SOURCES
from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer, BufferFullError, NotAcknowledgedError
from stream.kafka.client.connection import Connection, connection
from stream.poller.resources.account import accounts
from stream.poller.schedule.planning import BackfillRefusedError, Span, cancelled, next_job, refusal
from stream.poller.schedule.progress import BackfillJob, new_job
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.settings import Settings, load

CONNECTED_WITHIN_S = 20.0
POLLER_WITHIN_S = 15.0
LOOK_S = 1.0
NO_POLLER = "no poller has reported progress for {:.0f} s: is `callstream poller` running? Still waiting."
DETACHED = "the pollers continue; the same command shows their progress again"


@click.command("backfill")
@click.option("--source", required=True, type=click.Choice(POLLED_SOURCES), help="The source to read.")
@click.option("--since", required=True, metavar="TIME", help="Start of the time to read.")
@click.option("--until", default="now", show_default=True, metavar="TIME", help="End of the time to read.")
@click.option("--account", metavar="ID", help="The provider's id of the account, if there are several.")
@click.option("--again", is_flag=True, help="Start from the beginning, whatever was read before.")
@click.option("--cancel", is_flag=True, help="Cancel the backfill.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else on stdout.")
def command(
    source: str, since: str, until: str, account: str | None, again: bool, cancel: bool, as_json: bool
) -> None:
    """Read all of a source from one TIME to another, and show the progress.

    A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago. To resume, repeat the command with the
    times that it has printed. Ctrl-C stops the command, not the reading.

    \b
    callstream backfill --source twilio_call --since 3d
    callstream backfill --source telnyx_call_event --since 2026-03-02T10:00:00Z --until 2026-03-02T12:00:00Z
    """
    quiet_clients()
    away = (BufferFullError, NotAcknowledgedError)
    with exit_on_error(BackfillRefusedError, away=away, as_json=as_json):
        if again and cancel:
            raise BackfillRefusedError("either --again or --cancel")
        settings = load()
        now_us = time.time_ns() // 1000
        span = _span(since, until, now_us)
        wanted = new_job(source, account_id(settings, source, account), *span, now_us)
        bootstrap = required_bootstrap(settings)
        if not as_json:
            times = f"--since {wanted.since} --until {wanted.until}"
            say(f"backfill {wanted.id}: --source {source} {times}", err=True)
        try:
            job = asyncio.run(
                _finished(settings, bootstrap, wanted, now_us, again=again, cancel=cancel, quiet=as_json)
            )
        except KeyboardInterrupt:
            say(DETACHED, err=True)
            raise SystemExit(INTERRUPTED) from None
    _print_result(job, as_json)
    raise SystemExit(DONE if job.state == ("cancelled" if cancel else "done") else FAILED)


def _span(since: str, until: str, now_us: int) -> Span:
    try:
        span = Span(second_after(parse_time(since, now_us)), second_before(parse_time(until, now_us)))
    except ValueError as error:
        raise BackfillRefusedError(str(error)) from None
    if (why := refusal("", span, now_us)) is not None:
        raise BackfillRefusedError(why)
    return span


def account_id(settings: Settings, source: str, given: str | None) -> str:
    """The account whose rows are read. Raises BackfillRefusedError if it is ambiguous."""
    if given is not None:
        return given
    provider = source.partition("_")[0]
    known = list(dict.fromkeys(one.id for one in accounts(settings) if one.provider == provider))
    if not known:
        known = [settings.telnyx_account_id if provider == "telnyx" else settings.twilio_account_sid]
    if len(known) > 1:
        raise BackfillRefusedError(
            f"{len(known)} accounts of {provider} are configured: name one with --account"
        )
    if not known[0] and provider == "twilio":
        raise BackfillRefusedError("no account of twilio is configured here: name it with --account")
    return known[0]


async def _finished(
    settings: Settings,
    bootstrap: str,
    wanted: BackfillJob,
    now_us: int,
    *,
    again: bool,
    cancel: bool,
    quiet: bool,
) -> BackfillJob:
    """Requests the backfill and waits until it is finished. `wanted`: the job as if it were new."""
    await topics.ensure(bootstrap, settings, wait_s=CONNECTED_WITHIN_S)
    cluster = connection(settings, "backfill", bootstrap)
    async with _store(topics.names(settings.topic_prefix).polling, cluster) as store:
        known = store.job(wanted.id)
        if cancel:
            return await store.save(cancelled(known, now_us))
        job = next_job(known, wanted, now_us, again=again)
        if job is not None:
            await store.save(job)
        with ProgressLine(quiet=quiet) as shown:
            return await wait_until_finished(store, wanted.id, shown)


@asynccontextmanager
async def _store(topic: str, cluster: Connection) -> AsyncIterator[ProgressStore]:
    producer = AckedProducer(topic, cluster, produced=lambda *_: None)
    store = ProgressStore(topic, cluster, producer)
    await producer.start()
    reading = asyncio.create_task(store.run())
    try:
        try:
            await asyncio.wait_for(store.wait_until_loaded(), CONNECTED_WITHIN_S)
        except TimeoutError:
            raise topics.TopicError("the polling topic cannot be read") from None
        yield store
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await producer.close(1)


async def wait_until_finished(
    store: ProgressStore, id_: str, shown: ProgressLine, *, patience_s: float = POLLER_WITHIN_S
) -> BackfillJob:
    """Shows a job until it is finished. Warns once if no poller reports progress for `patience_s`."""
    last, changed_s, warned, changes = None, time.monotonic(), False, 0
    while True:
        job = store.job(id_)
        if job is None:
            raise BackfillRefusedError("it was removed")
        if job != last:
            last, changed_s, warned = job, time.monotonic(), False
            said = f"{job.rows:,} rows, up to {job.done_until}"
            shown.show(job.state, said, read_share(job), last=job.finished)
        if job.finished:
            return job
        if not warned and time.monotonic() - changed_s >= patience_s:
            warned = True
            shown.warn(NO_POLLER.format(patience_s))
        try:
            async with asyncio.timeout(min(LOOK_S, patience_s)):
                changes = await store.wait_for_change(changes)
        except TimeoutError:
            pass  # no change: check the time


def read_share(job: BackfillJob) -> float:
    """How much of the job's time is read, 0 to 1."""
    return (job.done_until_us - job.since_us) / (job.until_us - job.since_us)


def _print_result(job: BackfillJob, as_json: bool) -> None:
    if as_json:
        say(msgspec.json.encode(job).decode())
        return
    why = f": {job.error}" if job.error else ""
    say(f"{job.state}{why}. {job.rows:,} rows of {job.source}, read up to {job.done_until}")
