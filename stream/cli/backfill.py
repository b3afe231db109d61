"""`callstream backfill`: has the pollers read a past time again, at the lowest priority.

The command requests the backfill and shows its progress; it needs Kafka only. Exit code 0: done, or with
--cancel cancelled, or with --list shown. 1: it failed or was cancelled. 130, by Ctrl-C: the pollers continue.
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
@click.option("--source", type=click.Choice(POLLED_SOURCES), help="The source to read.")
@click.option("--since", metavar="TIME", help="Start of the time to read.")
@click.option("--until", default="now", show_default=True, metavar="TIME", help="End of the time to read.")
@click.option("--account", metavar="ID", help="The provider's id of the account, if there are several.")
@click.option("--again", is_flag=True, help="Start from the beginning, whatever was read before.")
@click.option("--cancel", is_flag=True, help="Cancel the backfill.")
@click.option("--list", "listed", is_flag=True, help="List the backfills that are not done.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else on stdout.")
def command(
    source: str | None,
    since: str | None,
    until: str,
    account: str | None,
    again: bool,
    cancel: bool,
    listed: bool,
    as_json: bool,
) -> None:
    """Read all of a source from one TIME to another, and show the progress.

    A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago. To resume, repeat the command with the
    times that it has printed. Ctrl-C stops the command, not the reading.

    \b
    callstream backfill --source twilio_call --since 3d
    callstream backfill --source telnyx_call_event --since 2026-03-02T10:00:00Z --until 2026-03-02T12:00:00Z
    callstream backfill --list
    """
    quiet_clients()
    away = (BufferFullError, NotAcknowledgedError)
    with exit_on_error(BackfillRefusedError, away=away, as_json=as_json):
        if again and cancel:
            raise BackfillRefusedError("either --again or --cancel")
        if listed:
            if source or since or account or again or cancel:
                raise BackfillRefusedError("--list lists all of them: it takes --json alone")
            _print_unfinished(as_json)
            return
        if source is None or since is None:
            raise BackfillRefusedError(
                "--source and --since say what is read; --list lists what is under way"
            )
        settings = load()
        now_us = time.time_ns() // 1000
        span = _span(since, until, now_us)
        wanted = new_job(source, account_id(settings, source, account), *span, now_us)
        bootstrap = required_bootstrap(settings)
        if not as_json:
            say(_asked(wanted), err=True)
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
    cluster = connection(settings, "backfill", bootstrap, settings.partitions)
    async with _store(settings, cluster) as store:
        known = store.job(wanted.id)
        if cancel:
            return await store.save(cancelled(known, now_us))
        job = next_job(known, wanted, now_us, again=again)
        if job is not None:
            await store.save(job)
        with ProgressLine(quiet=quiet) as shown:
            return await wait_until_finished(store, wanted.id, shown)


@asynccontextmanager
async def _store(settings: Settings, cluster: Connection) -> AsyncIterator[ProgressStore]:
    topic = topics.names(settings.topic_prefix).polling
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
            shown.show(job.state, _progress(job), read_share(job), last=job.finished)
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


def _print_unfinished(as_json: bool) -> None:
    """Those that wait, run or have failed, the newest first. Raises BackfillRefusedError, TopicError."""
    settings = load()
    jobs = asyncio.run(_known(settings, required_bootstrap(settings)))
    left = [job for job in jobs if not job.finished or job.state == "failed"]
    for job in sorted(left, key=lambda one: one.updated_at, reverse=True):
        if as_json:
            say(msgspec.json.encode(job).decode())
            continue
        why = f": {job.error}" if job.state == "failed" and job.error else ""
        say(_asked(job))
        say(f"  {job.state}{why}: {100 * read_share(job):.0f} %, {_progress(job)}, as of {job.updated_at}")
    if not left:
        say("No backfill waits, runs or has failed.", err=True)


async def _known(settings: Settings, bootstrap: str) -> list[BackfillJob]:
    await topics.ensure(bootstrap, settings, wait_s=CONNECTED_WITHIN_S)
    async with _store(settings, connection(settings, "backfill", bootstrap, settings.partitions)) as store:
        return store.jobs()


def _asked(job: BackfillJob) -> str:
    """As the options that ask for it again."""
    account = f" --account {job.account}" if job.account else ""
    return f"backfill {job.id}: --source {job.source}{account} --since {job.since} --until {job.until}"


def _progress(job: BackfillJob) -> str:
    said = f"{job.rows:,} rows, up to {job.done_until}"
    return f"{said}, failing since {job.failing_since}: {job.error}" if job.failing_since else said


def read_share(job: BackfillJob) -> float:
    """How much of the job's time is read, 0 to 1."""
    return (job.done_until_us - job.since_us) / (job.until_us - job.since_us)


def _print_result(job: BackfillJob, as_json: bool) -> None:
    if as_json:
        say(msgspec.json.encode(job).decode())
        return
    why = f": {job.error}" if job.error else ""
    say(f"{job.state}{why}. {job.rows:,} rows of {job.source}, read up to {job.done_until}")
