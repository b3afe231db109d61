"""`callstream backfill`: has the pollers read a past time again, at the lowest priority.

The command requests the backfill and shows its progress; it needs Kafka only. Exit codes: 0 done (or
cancelled, with --cancel), 1 failed or cancelled, 2 not requested, 130 stopped by Ctrl-C: the pollers
continue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, NoReturn

import click
import msgspec

from stream.cli.support.progress import JobProgress
from stream.cli.support.startup import NO_BROKER, known_bootstrap
from stream.cli.support.terminal import say
from stream.cli.support.time_args import parse_time, second_after, second_before
from stream.core.sources import POLLED_SOURCES
from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer, BufferFullError, NotAcknowledgedError
from stream.kafka.errors import KafkaError
from stream.poller.resources.account import accounts
from stream.poller.schedule.planning import BackfillRefusedError, Span, cancelled, next_job, refusal
from stream.poller.schedule.progress import BackfillJob, new_job
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.errors import for_operator
from stream.service.settings import Settings, SettingsError, load

CONNECTED_WITHIN_S = 20.0
POLLER_WITHIN_S = 15.0
LOOK_S = 1.0
NO_POLLER = "no poller has reported progress for {:.0f} s: is `callstream poller` running? Still waiting."
DETACHED = "the pollers continue; the same command shows their progress again"


class BackfillArgs(NamedTuple):
    """The command's arguments. `wanted`: the job as if it were new; `now_us`: when the command started."""

    wanted: BackfillJob
    now_us: int
    again: bool
    cancel: bool


@click.command("backfill")
@click.option("--source", required=True, type=click.Choice(POLLED_SOURCES), help="The source to read.")
@click.option("--since", required=True, metavar="TIME", help="Start of the time to read.")
@click.option("--until", default="now", show_default=True, metavar="TIME", help="End of the time to read.")
@click.option("--account", metavar="ID", help="The provider's id of the account, if there are several.")
@click.option("--again", is_flag=True, help="Start from the beginning, whatever was read before.")
@click.option("--cancel", is_flag=True, help="Cancel the backfill.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else on stdout.")
def command(source: str, since: str, until: str, account: str | None, as_json: bool, **how: bool) -> None:
    """Read all of a source from one TIME to another, and show the progress.

    A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago. To resume, repeat the command with the
    times that it has printed. Ctrl-C stops the command, not the reading.

    \b
    callstream backfill --source twilio_call --since 3d
    callstream backfill --source telnyx_call_event --since 2026-03-02T10:00:00Z --until 2026-03-02T12:00:00Z
    """
    # aiokafka logs each failed connection; this command says once why it gave up.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load()
        args = _parsed(settings, source, since, until, account, **how)
        bootstrap = known_bootstrap(settings)
        if bootstrap is None:
            raise BackfillRefusedError(NO_BROKER)
    except (SettingsError, BackfillRefusedError) as error:
        _give_up(str(error), as_json)
    _announce(args, quiet=as_json)
    try:
        job = asyncio.run(_finished(settings, bootstrap, args, quiet=as_json))
    except (
        BackfillRefusedError,
        KafkaError,
        OSError,
        topics.TopicError,
        BufferFullError,
        NotAcknowledgedError,
    ) as error:
        _give_up(for_operator(error), as_json)
    except KeyboardInterrupt:
        say(DETACHED, err=True)
        raise SystemExit(130) from None
    _print_result(job, as_json)
    raise SystemExit(0 if job.state == "done" or (args.cancel and job.state == "cancelled") else 1)


def _parsed(
    settings: Settings, source: str, since: str, until: str, account: str | None, *, again: bool, cancel: bool
) -> BackfillArgs:
    if again and cancel:
        raise BackfillRefusedError("either --again or --cancel")
    now_us = time.time_ns() // 1000
    try:
        span = Span(second_after(parse_time(since, now_us)), second_before(parse_time(until, now_us)))
    except ValueError as error:
        raise BackfillRefusedError(str(error)) from None
    if (why := refusal("", span, now_us)) is not None:
        raise BackfillRefusedError(why)
    wanted = new_job(source, account_id(settings, source, account), *span, now_us)
    return BackfillArgs(wanted, now_us, again, cancel)


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


def _announce(args: BackfillArgs, *, quiet: bool) -> None:
    job = args.wanted
    if not quiet:
        times = f"--since {job.since} --until {job.until}"
        say(f"backfill {job.id}: --source {job.source} {times}", err=True)


async def _finished(settings: Settings, bootstrap: str, args: BackfillArgs, *, quiet: bool) -> BackfillJob:
    """Requests the backfill and waits until it is finished."""
    await topics.ensure(bootstrap, settings, wait_s=CONNECTED_WITHIN_S)
    async with _store(topics.names(settings.topic_prefix).polling, bootstrap) as store:
        known = store.job(args.wanted.id)
        if args.cancel:
            return await store.save(cancelled(known, args.now_us))
        job = next_job(known, args.wanted, args.now_us, again=args.again)
        if job is not None:
            await store.save(job)
        with JobProgress(quiet=quiet) as shown:
            return await wait_until_finished(store, args.wanted.id, shown)


@asynccontextmanager
async def _store(topic: str, bootstrap: str) -> AsyncIterator[ProgressStore]:
    connection: dict[str, Any] = {"bootstrap_servers": bootstrap}
    lander = AckedProducer(topic, connection, produced=lambda records, seconds, ok: None)
    store = ProgressStore(topic, connection, lander)
    await lander.start()
    reading = asyncio.create_task(store.run())
    try:
        try:
            await asyncio.wait_for(store.wait_until_loaded(), CONNECTED_WITHIN_S)
        except TimeoutError:
            raise BackfillRefusedError("the polling topic cannot be read") from None
        yield store
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await lander.close(1)


async def wait_until_finished(
    store: ProgressStore, id_: str, shown: JobProgress, *, patience_s: float = POLLER_WITHIN_S
) -> BackfillJob:
    """Shows a job until it is finished. Warns once if no poller reports progress for `patience_s`."""
    last, changed_s, warned, changes = None, time.monotonic(), False, 0
    while True:
        job = store.job(id_)
        if job is None:
            raise BackfillRefusedError("it was removed")
        if job != last:
            last, changed_s, warned = job, time.monotonic(), False
            shown.show(job)
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


def _print_result(job: BackfillJob, as_json: bool) -> None:
    if as_json:
        say(msgspec.json.encode(job).decode())
        return
    why = f": {job.error}" if job.error else ""
    say(f"{job.state}{why}. {job.rows:,} rows of {job.source}, read up to {job.done_until}")


def _give_up(why: str, as_json: bool) -> NoReturn:
    said = msgspec.json.encode({"error": why}).decode() if as_json else f"callstream backfill: {why}"
    say(said, err=not as_json)
    raise SystemExit(2)
