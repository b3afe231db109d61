"""The role on a real Kafka: what is kept, once, whatever happens to it, the database and its group."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from sqlalchemy import text

from stream.archive import service
from stream.archive.database import archive_url
from stream.archive.questions import AlertFilter, ArchiveError, CallFilter, CallHistory
from stream.archive.reader import Archive, open_archive
from stream.archive.service import ArchiveRole, rebuild, serving
from stream.archive.writing import consumer
from stream.kafka import topics
from stream.kafka.access import archive_group
from stream.service.settings import Settings
from tests.archive.kept import Told, of_another, replayed, values
from tests.e2e.full_worker import get_text
from tests.e2e.harness import lag
from tests.real_broker import RealBroker
from tests.real_postgresql import RealPostgresql

PARTITIONS = 3
LIMIT_S = 60.0
TRACES = ("amd", "gap-expired", "busy")
ALL = (*TRACES, "child-legs", "spam-block")


def settings(broker: RealBroker, prefix: str, where: Path | str) -> Settings:
    return Settings(
        kafka=broker.bootstrap,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        session_timeout_s=6.0,
        archive_listen="127.0.0.1:0",
        archive_url=where if isinstance(where, str) else "",
        data_dir=where if isinstance(where, Path) else Path("/nonexistent"),
        archive_retention_days=3650,
    )


def written(traces: Iterable[str] = TRACES, times: Iterable[int] = (0,)) -> list[Told]:
    """What a worker writes about a call of each trace, and about others like them."""
    return [
        one
        for time in times
        for trace in traces
        for one in of_another(replayed(trace), time * len(ALL) + ALL.index(trace))
    ]


def produce(chosen: Settings, records: Iterable[Told]) -> None:
    names = topics.names(chosen.topic_prefix)
    producer = Producer({"bootstrap.servers": chosen.kafka, "log_level": 2, "partitioner": "murmur2_random"})
    for role, key, value in records:
        producer.produce(getattr(names, role), value, key=key)
    assert producer.flush(30) == 0


@contextlib.asynccontextmanager
async def reading(chosen: Settings) -> AsyncIterator[Archive]:
    archive = open_archive(archive_url(chosen.archive_url, chosen.data_dir))
    try:
        yield archive
    finally:
        archive.close()


async def until(what: Callable[[], Any], says: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(ArchiveError):
                if await asyncio.to_thread(what):
                    return
            await asyncio.sleep(0.1)


def events_in(archive: Archive) -> int:
    with archive._engine.connect() as session:
        return int(session.execute(text("SELECT count(*) FROM events")).scalar_one())


def ids_in(archive: Archive) -> tuple[set[str], set[str], set[str]]:
    """Ids of all events, latest records and latest alerts."""
    events, records = set(), set()
    after = None
    while True:
        page = archive.calls(CallFilter(), 1000, after, with_records=True)
        for call in page.items:
            history = archive.call(call.key)
            assert history is not None
            events |= {one["id"] for one in history.events}
            records |= {history.record["id"]} if history.record is not None else set()
        if (after := page.next) is None:
            break
    return events, records, {one["id"] for one in archive.alerts(AlertFilter(), 1000).items}


def all_of(archive: Archive) -> dict[str, CallHistory | None]:
    return {one.key: archive.call(one.key) for one in archive.calls(CallFilter(), 1000).items}


def truth(records: list[Told]) -> tuple[set[str], set[str], set[str]]:
    latest = {one["key"]: one["id"] for one in values(records, "ended")}
    alerts = {one["episode_id"]: one["id"] for one in values(records, "alerts")}
    return {one["id"] for one in values(records, "events")}, set(latest.values()), set(alerts.values())


async def test_all_that_is_written_is_kept_and_counted(
    broker: RealBroker, prefix: str, where: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIRST_CALL_S", 0.5)
    chosen = settings(broker, prefix, where)
    await topics.ensure(chosen.kafka, chosen)
    records = written()
    produce(chosen, records)
    async with serving(chosen) as role, reading(chosen) as archive:
        await until(lambda: ids_in(archive) == truth(records), "the archive has everything")
        assert (await asyncio.to_thread(get_text, f"{role.url}/readyz"))[0] == 200
        oldest = "callstream_archive_oldest_timestamp_seconds"
        await until(lambda: role.metrics.registry.get_sample_value(oldest), "its age is known")
        produce(chosen, more := written(["child-legs"]))
        await until(lambda: ids_in(archive) == truth(records + more), "the archive has everything")
        _, said = await asyncio.to_thread(get_text, f"{role.url}/metrics")
        assert (
            f'callstream_archive_rows_written_total{{topic="events"}} {len(truth(records + more)[0])}.0'
            in said
        )
        assert 'callstream_archive_records_total{result="skipped",topic="events"} 0.0' in said
        assert "callstream_archive_up 1.0" in said
        assert 'callstream_archive_lag_messages{topic="events"} 0.0' in said
    names = topics.names(prefix)
    group = archive_group(prefix)
    assert (
        sum(lag(broker.bootstrap, group, topic) for topic in (names.events, names.ended, names.alerts)) == 0
    )


async def test_a_role_that_comes_back_reads_on(broker: RealBroker, prefix: str, where: Path | str) -> None:
    chosen = settings(broker, prefix, where)
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, first := written(["amd"]))
    async with reading(chosen) as archive:
        async with serving(chosen):
            await until(lambda: ids_in(archive) == truth(first), "the archive has the first")
        produce(chosen, more := written(["busy"]))
        async with serving(chosen) as role:
            await until(lambda: ids_in(archive) == truth(first + more), "the archive has everything")
            assert count_of(role, "callstream_archive_records_total", "events") == len(values(more, "events"))


def count_of(role: ArchiveRole, name: str, topic: str) -> float | None:
    return role.metrics.registry.get_sample_value(name, {"topic": topic, "result": "written"})


async def test_a_rebuilt_archive_has_the_same_rows(
    broker: RealBroker, prefix: str, where: Path | str
) -> None:
    """Also beside a role that runs: it begins again, as the database says."""
    chosen = settings(broker, prefix, where)
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, records := written())
    async with reading(chosen) as archive, serving(chosen) as role:
        await until(lambda: ids_in(archive) == truth(records), "the archive has everything")
        before = all_of(archive)
        await asyncio.to_thread(rebuild, chosen)
        produce(chosen, more := written(["spam-block"]))
        await until(lambda: ids_in(archive) == truth(records + more), "the archive has everything again")
        after = all_of(archive)
        assert {key: after[key] for key in before} == before
        assert role.metrics.registry.get_sample_value(
            "callstream_archive_write_errors_total", {"reason": "fenced"}
        )


async def test_members_share_the_partitions(
    broker: RealBroker, prefix: str, postgresql: RealPostgresql
) -> None:
    chosen = settings(broker, prefix, postgresql.database())
    await topics.ensure(chosen.kafka, chosen)
    async with serving(chosen) as one, serving(chosen) as other, reading(chosen) as archive:
        await until(lambda: one.ready()[0] and other.ready()[0], "both are ready")
        records: list[Told] = []
        for number in range(5):
            more = written(times=[number])
            produce(chosen, more)
            records += more
            await asyncio.sleep(0.3)
        await until(lambda: ids_in(archive) == truth(records), "the archive has everything")
        shares = [count_of(role, "callstream_archive_records_total", "events") for role in (one, other)]
        assert sum(share or 0 for share in shares) == len(values(records, "events"))


async def test_what_is_read_ahead_is_written_once(
    broker: RealBroker, prefix: str, postgresql: RealPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small batches, of which the next one is read while one is written, when partitions come and go."""
    monkeypatch.setattr(consumer, "BATCH", 5)
    chosen = settings(broker, prefix, postgresql.database())
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, records := written(times=range(8)))
    async with reading(chosen) as archive, serving(chosen) as one:
        for _ in range(3):
            async with serving(chosen) as other:
                await until(lambda: other.ready()[0] and one.ready()[0], "both have partitions")
                produce(chosen, more := written(times=[len(records)]))
                records += more
        await until(lambda: ids_in(archive) == truth(records), "the archive has everything")
        await until(lambda: lag_of(one) == 0, "nothing is left to be read")


def lag_of(role: ArchiveRole) -> float:
    return sum(
        role.metrics.registry.get_sample_value("callstream_archive_lag_messages", {"topic": topic}) or 0
        for topic in ("events", "ended", "alerts")
    )


async def test_a_database_that_is_away_holds_nothing_up_for_good(
    broker: RealBroker, prefix: str, postgresql: RealPostgresql
) -> None:
    chosen = settings(broker, prefix, postgresql.database())
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, records := written(["amd"]))
    async with serving(chosen) as role, reading(chosen) as archive:
        await until(lambda: ids_in(archive) == truth(records), "the archive has the first")
        await asyncio.to_thread(postgresql.crash)
        try:
            produce(chosen, more := written(["gap-expired", "busy"]))
            await until(lambda: not role.ready()[0], "the role is not ready")
            assert role.live()[0]
        finally:
            await asyncio.to_thread(postgresql.start)
        await until(lambda: ids_in(archive) == truth(records + more), "the archive has everything")
        await until(lambda: role.ready()[0], "the role is ready again")
        assert role.metrics.registry.get_sample_value("callstream_archive_up") == 1


async def test_a_role_starts_without_its_database(
    broker: RealBroker, prefix: str, postgresql: RealPostgresql
) -> None:
    chosen = settings(broker, prefix, postgresql.database())
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, records := written(["amd"]))
    await asyncio.to_thread(postgresql.crash)
    async with contextlib.AsyncExitStack() as stack, reading(chosen) as archive:
        starting = asyncio.ensure_future(stack.enter_async_context(serving(chosen)))
        await asyncio.sleep(1)
        assert not starting.done()
        await asyncio.to_thread(postgresql.start)
        await starting
        await until(lambda: ids_in(archive) == truth(records), "the archive has everything")


async def test_a_role_whose_database_is_away_at_its_start_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "RETRY_S", 0.01)
    file = tmp_path / "not-mounted-yet" / "archive.sqlite"
    role = ArchiveRole(Settings(kafka="127.0.0.1:1", archive_url=f"sqlite:///{file}"))
    up = partial(role.metrics.registry.get_sample_value, "callstream_archive_up")
    assert role.ready()[1][0] == "the archive's tables are being brought up to date"
    starting = asyncio.create_task(role.start())
    try:
        await until(lambda: up() == 0, "what is refused is told")
        assert role.ready()[1][0] == "the archive's database does not answer (SQLITE_CANTOPEN)"
        file.parent.mkdir()
        await starting
        assert up() == 1
        assert role.ready()[1] == ["the consumer group has not assigned partitions yet"]
    finally:
        await role.close()


async def test_what_is_older_than_the_retention_goes(
    broker: RealBroker, prefix: str, where: Path | str
) -> None:
    chosen = settings(broker, prefix, where)
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, records := written(["amd"]))
    async with reading(chosen) as archive:
        async with serving(chosen):
            await until(lambda: ids_in(archive) == truth(records), "the archive has the call")
        # It was first heard of in March.
        async with serving(Settings(**{**vars(chosen), "archive_retention_days": 30})) as role:
            await until(lambda: archive.calls(CallFilter()).items == [], "it is gone")
            removed = "callstream_archive_rows_removed_total"
            await until(
                lambda: role.metrics.registry.get_sample_value(removed, {"reason": "retention"}), "counted"
            )
            # A day's events go behind its calls.
            await until(lambda: events_in(archive) == 0, "its events are gone")
