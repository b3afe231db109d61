"""The poller as a role: its parts, its start and its stop.

It stops within seconds: reads in progress are cancelled (the next owner of the account reads them again),
what is done is committed, and the process exits with 0.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer
from stream.kafka.client import producers
from stream.kafka.client.connection import connection
from stream.kafka.oversized_records import REASON, DeadLetteringProducer
from stream.kafka.partitions import partition_of
from stream.poller.limiter.budget import ACCOUNT_TROUBLE
from stream.poller.limiter.rate_limiter import RateLimiters
from stream.poller.on_demand.backlog_watch import BacklogWatch
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.fetch_consumer import FetchRequestConsumer
from stream.poller.pages.account_reader import AccountReader
from stream.poller.pages.client import PageClient
from stream.poller.pages.polled_writer import PolledWriter
from stream.poller.pages.records import STAGE
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account, accounts, lacks_twilio_account
from stream.poller.schedule.backfills import Backfills
from stream.poller.schedule.progress_store import ProgressStore
from stream.poller.schedule.windows import Windows, windows_of
from stream.service.background_tasks import live, log_ended
from stream.service.http import health
from stream.service.metrics.label_values import UNKNOWN
from stream.service.metrics.poller import BudgetState, PollerMetrics
from stream.service.metrics.registry import LabelChoice
from stream.service.process import stop_asked, unless
from stream.service.settings import PollerSettings

FLUSH_S = 2.0
PACE_S = 0.025
"""Rows and results of reads that end within this time share a request to Kafka."""
NOBODY = "no account of Twilio or Telnyx with its credentials is configured: nothing is read"
NAMELESS = "credentials of Twilio are configured, but not their account: set CALLSTREAM_TWILIO_ACCOUNT_SID"
OVERLAPPING = (
    "CALLSTREAM_POLL_LOOKBACK_S is not below CALLSTREAM_SETTLE_S: rows of calls that have left the table are "
    "read again, and create the calls again"
)

log = logging.getLogger("callstream.poller")


@asynccontextmanager
async def serving(chosen: PollerSettings) -> AsyncIterator[Poller]:
    """A poller at work while the block runs. `chosen.kafka` must name a broker.

    It listens before it joins the group: a poller that cannot listen must not cause a rebalance. Raises
    ListenError, KafkaError.
    """
    poller = Poller(chosen)
    async with poller.client:
        try:
            async with health.serve(
                chosen.poller_listen,
                metrics=poller.metrics.exposition,
                live=poller.live,
                ready=poller.ready,
                setting="CALLSTREAM_POLLER_LISTEN",
            ) as url:
                poller.url = url
                await poller.start()
                yield poller
        finally:
            await poller.close()


class Poller:
    def __init__(self, chosen: PollerSettings) -> None:
        names = topics.names(chosen.topic_prefix)
        cluster = connection(chosen, "poller", partitions=chosen.partitions)
        self.url = ""
        self.accounts = accounts(chosen)
        self._nameless = lacks_twilio_account(chosen)
        self._sources = chosen.poll_sources
        self._overlap_s, self._settle_s = chosen.poll_lookback_s, chosen.settle_s
        self.client = PageClient()
        self.metrics = PollerMetrics(
            [
                (one.resource.source, one.account.alias)
                for one in windows_of(self.accounts, RESOURCES, chosen.poll_sources)
            ],
            topics.roles(names),
            LabelChoice(providers=chosen.metric_providers),
        )
        logging.getLogger().addHandler(self.metrics.log_counter)
        self.limiters = RateLimiters(self.accounts, self.metrics)
        self.limiters.lease(0.0)  # until the group knows this member
        self.metrics.budgets(lambda: map(self._state, self.accounts))
        self.metrics.forbidden(self._forbidden)
        self._producer = AckedProducer(
            names.polled,
            cluster,
            produced=self.metrics.produced,
            open_producer=lambda: producers.idempotent(cluster, names.polled, pace_s=PACE_S),
        )
        aside = DeadLetteringProducer(
            self._producer,
            topic=names.polled,
            dead_letters=names.dead_letters,
            stage=STAGE,
            dead_lettered=lambda one: self.metrics.dead_letter(getattr(one, "source", UNKNOWN), REASON),
        )
        writer = PolledWriter(
            aside, polled=names.polled, dead_letters=names.dead_letters, metrics=self.metrics
        )
        reader = self._reader = AccountReader(self.client, self.limiters, writer, self.metrics)
        self._store = ProgressStore(names.polling, cluster, self._producer)
        self._windows = Windows(
            chosen,
            self.accounts,
            RESOURCES,
            store=self._store,
            reader=reader,
            metrics=self.metrics,
            by=f"{socket.gethostname()}-{os.getpid()}",
        )
        self._backfills = Backfills(
            self.accounts,
            RESOURCES,
            store=self._store,
            reader=reader,
        )
        self._dispatcher = FetchDispatcher(
            self.accounts,
            limiter_of=self.limiters.of,
            read=reader.read_request,
            write_result=writer.write_result,
            metrics=self.metrics,
            now_us=lambda: time.time_ns() // 1000,
            stale_s=chosen.settle_s,
        )
        self._consumer = FetchRequestConsumer(
            chosen,
            self._dispatcher,
            writer,
            on_assignment=self._assign,
            confirmed=self.limiters.lease,
            metrics=self.metrics,
        )
        self._backlog = BacklogWatch(self._waiting_reads)
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Join the group: the assignment says what is read. Raises KafkaError."""
        if self._overlap_s >= self._settle_s:
            log.warning("%s", OVERLAPPING)
        if self._nameless:
            log.warning("%s", NAMELESS)
        await self._producer.start()
        self.tasks["the watch over the broker"] = asyncio.create_task(self._producer.watch())
        if not self.accounts:
            # It would be assigned partitions that other pollers could serve.
            log.warning("%s", NOBODY)
            return
        self.tasks["the watch over the backlog"] = asyncio.create_task(self._backlog.run())
        self.tasks["the progress store"] = asyncio.create_task(self._store.run())
        self.tasks["the fetch requests"] = await self._consumer.start()

    async def close(self) -> None:
        """Stop all parts, each before those that it needs."""
        if "the fetch requests" in self.tasks:
            await self._consumer.close()
        await self._windows.close()
        await self._backfills.close()
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self._producer.close(FLUSH_S)
        logging.getLogger().removeHandler(self.metrics.log_counter)

    async def _assign(self, owned: frozenset[int], partitions: int) -> None:
        """After a rebalance: this poller owns the accounts of these partitions."""
        self.limiters.own(lambda account: partition_of(account.key, partitions) in owned)
        self.metrics.owned(len(owned))
        await asyncio.gather(
            self._windows.assign(set(owned), partitions), self._backfills.assign(set(owned), partitions)
        )
        if owned:
            names = [one.name for one in self.accounts if partition_of(one.key, partitions) in owned]
            log.info(
                "%d of %d partitions are assigned, with them %s",
                *(len(owned), partitions, ", ".join(names) or "no account"),
            )

    def _state(self, account: Account) -> BudgetState:
        """The state of its limiter; `refused` where none of its resources may be read."""
        state = self.limiters.of(account).state()
        queued = self._dispatcher.waiting(account)
        state = state._replace(waiting={name: at + queued[name] for name, at in state.waiting.items()})
        readable = {source for source in self._sources if source.startswith(account.provider)}
        forbidden = set(self._forbidden_to(account))
        return state._replace(state="refused") if readable and readable <= forbidden else state

    def _forbidden_to(self, account: Account) -> list[str]:
        """The sources that the account may not read. On standby none: another poller knows what is true."""
        is_standby = self.limiters.of(account).state().state == "standby"
        return [] if is_standby else self._reader.forbidden.sources(account)

    def _forbidden(self) -> list[tuple[str, str, bool]]:
        """Each source of each account (its alias), and whether the account may not read it."""
        return [
            (source, account.alias, source in self._forbidden_to(account))
            for account in self.accounts
            for source in self._sources
            if source.startswith(account.provider)
        ]

    def _waiting_reads(self) -> dict[str, int]:
        """By account; without those whose reads wait because the provider refuses or does not answer."""
        states = {one.name: self._state(one) for one in self.accounts}
        return {
            name: sum(state.waiting.values())
            for name, state in states.items()
            if state.state not in ACCOUNT_TROUBLE
        }

    def live(self) -> tuple[bool, Sequence[str]]:
        return live(self.tasks, self._windows.ended())

    def ready(self) -> tuple[bool, Sequence[str]]:
        return ready(
            self._producer.trouble(),
            [(one.name, self._state(one).state) for one in self.accounts],
            [(one.name, source) for one in self.accounts for source in self._forbidden_to(one)],
            self._backlog.notes(),
        )


def ready(
    trouble: str | None,
    states: Sequence[tuple[str, str]],
    forbidden: Sequence[tuple[str, str]] = (),
    backlogs: Sequence[str] = (),
) -> tuple[bool, Sequence[str]]:
    """Whether the broker takes writes, and what else an operator should know.

    - `states`: of each account its name and one of POLL_STATES.
    - `forbidden`: names of accounts with a source that they may not read.
    - `backlogs`: sentences about accounts at which more reads come than go.
    """
    notes = [f"{name}: {ACCOUNT_TROUBLE[state]}" for name, state in states if state in ACCOUNT_TROUBLE]
    notes += [f"{name}: it may not read {source}" for name, source in forbidden]
    notes += backlogs
    return trouble is None, [*([trouble] if trouble else []), *(notes if states else [NOBODY])]


async def serve(chosen: PollerSettings) -> int:
    """Serve until SIGTERM or SIGINT, or until a background task has ended. Returns the exit code."""
    with stop_asked() as asked:
        async with AsyncExitStack() as stack:
            poller = await unless(asked, stack.enter_async_context(serving(chosen)))
            if poller is not None:
                log.info("health and metrics at %s", poller.url)
                tasks = poller.tasks.values()
                await unless(asked, asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
                if not asked.is_set():
                    log_ended(poller.tasks)
                    return 1
            log.info("stopping")
    return 0
