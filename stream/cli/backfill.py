"""`callstream backfill`: a past time is read once more, by the pollers, behind everything else that they do.

The command asks and looks on; it needs Kafka only. Exit codes: 0 all is read (or it is cancelled, where
that was asked), 1 it failed or was cancelled, 2 it could not be asked, 130 not looked at any longer: the
pollers go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import click
import msgspec

from stream.broker.ownership import find_running
from stream.cli.support.job_progress import JobProgress
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
from stream.service.errors import in_words
from stream.service.settings import Settings, SettingsError, load

CONNECTED_WITHIN_S = 20.0
TAKEN_WITHIN_S = 15.0
LOOK_S = 1.0
NOBODY = "no poller has said anything of it for {:.0f} s: is `callstream poller` running? It is waited for."
DETACHED = "not looked at any longer: the pollers go on, and the same command shows how far they are"


class BackfillArgs(NamedTuple):
    """What the command was told. `now_us`: when; `wanted`: the job, as if new."""

    wanted: BackfillJob
    now_us: int
    again: bool
    cancel: bool


@click.command("backfill")
@click.option("--source", required=True, type=click.Choice(POLLED_SOURCES), help="What is read.")
@click.option("--since", required=True, metavar="TIME", help="From then on.")
@click.option("--until", default="now", show_default=True, metavar="TIME", help="And before then.")
@click.option("--account", metavar="ID", help="The provider's id of the account, where there are several.")
@click.option("--again", is_flag=True, help="From the beginning, whatever was done before.")
@click.option("--cancel", is_flag=True, help="Stop it.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout, and nothing else there.")
def command(source: str, since: str, until: str, account: str | None, as_json: bool, **how: bool) -> None:
    """Read all of a source from one TIME to another, and show how far that is.

    A TIME is 2026-03-02T10:00:00Z, or as long ago as 2h or 3d. The same command again goes on with what was
    begun (with the times written out, as it shows them); Ctrl-C stops the looking, not the reading.

    \b
    callstream backfill --source twilio_call --since 3d
    callstream backfill --source telnyx_call_event --since 2026-03-02T10:00:00Z --until 2026-03-02T12:00:00Z
    """
    # The clients' own complaints about a broker that is away help nobody who waits for an answer.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load()
        asked = _asked(settings, source, since, until, account, **how)
        bootstrap = settings.kafka or _running(settings)
    except (SettingsError, BackfillRefusedError) as error:
        _give_up(str(error), as_json)
    _announce(asked, quiet=as_json)
    try:
        job = asyncio.run(_done(settings, bootstrap, asked, quiet=as_json))
    except (
        BackfillRefusedError,
        KafkaError,
        OSError,
        topics.TopicError,
        BufferFullError,
        NotAcknowledgedError,
    ) as error:
        _give_up(in_words(error), as_json)
    except KeyboardInterrupt:
        say(DETACHED, err=True)
        raise SystemExit(130) from None
    _tell(job, as_json)
    raise SystemExit(0 if job.state == "done" or (asked.cancel and job.state == "cancelled") else 1)


def _asked(
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
    """Whose rows are asked for. Raises BackfillRefusedError where that is not clear."""
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


def _running(settings: Settings) -> str:
    running = find_running(settings.data_dir / "broker")
    if running is None:
        raise BackfillRefusedError("no broker runs here: set CALLSTREAM_KAFKA, or start `callstream up`")
    return f"127.0.0.1:{running.port}"


def _announce(asked: BackfillArgs, *, quiet: bool) -> None:
    job = asked.wanted
    if not quiet:
        times = f"--since {job.since} --until {job.until}"
        say(f"backfill {job.id}: --source {job.source} {times}", err=True)


async def _done(settings: Settings, bootstrap: str, asked: BackfillArgs, *, quiet: bool) -> BackfillJob:
    """Asks, and looks on until it is finished."""
    await topics.ensure(bootstrap, settings, wait_s=CONNECTED_WITHIN_S)
    async with _store(topics.names(settings.topic_prefix).polling, bootstrap) as store:
        known = store.job(asked.wanted.id)
        if asked.cancel:
            return await store.save(cancelled(known, asked.now_us))
        said = next_job(known, asked.wanted, asked.now_us, again=asked.again)
        if said is not None:
            await store.save(said)
        with JobProgress(quiet=quiet) as shown:
            return await looked_on(store, asked.wanted.id, shown)


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


async def looked_on(
    store: ProgressStore, id_: str, shown: JobProgress, *, patience_s: float = TAKEN_WITHIN_S
) -> BackfillJob:
    """Shows a job until it is finished. Where nobody says anything of it for `patience_s`, it says so."""
    last, heard_s, warned, changes = None, time.monotonic(), False, 0
    while True:
        job = store.job(id_)
        if job is None:
            raise BackfillRefusedError("somebody has removed it")
        if job != last:
            last, heard_s, warned = job, time.monotonic(), False
            shown.show(job)
        if job.finished:
            return job
        if not warned and time.monotonic() - heard_s >= patience_s:
            warned = True
            shown.warn(NOBODY.format(patience_s))
        try:
            async with asyncio.timeout(min(LOOK_S, patience_s)):
                changes = await store.wait_for_change(changes)
        except TimeoutError:
            pass  # nothing new: look at the clock


def _tell(job: BackfillJob, as_json: bool) -> None:
    if as_json:
        say(msgspec.json.encode(job).decode())
        return
    why = f": {job.error}" if job.error else ""
    say(f"{job.state}{why}. {job.rows:,} rows of {job.source}, read up to {job.done_until}")


def _give_up(why: str, as_json: bool) -> Any:
    said = msgspec.json.encode({"error": why}).decode() if as_json else f"callstream backfill: {why}"
    say(said, err=not as_json)
    raise SystemExit(2)
