"""A topic that was deleted and made again is not read with the offsets of the old one, until the rebuild."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from stream.archive.reader import Archive
from stream.archive.service import ArchiveRole, rebuild, serving
from stream.archive.store.statements import RecreatedError
from stream.archive.writing import same_topics
from stream.kafka import topics
from stream.kafka.client.admin import admin_client
from stream.kafka.client.connection import connection
from stream.kafka.client.requests.topic_ids import topic_ids
from stream.service.settings import Settings
from tests.archive.kept import Keeper
from tests.archive.test_service import ids_in, produce, reading, settings, truth, until, written
from tests.e2e.full_worker import get_text
from tests.real_broker import RealBroker

A = {("calls.events.v1", 0): 0}


def test_the_ids_of_topics_are_kept_until_the_archive_is_rebuilt(kept: tuple[Keeper, Archive]) -> None:
    writer = kept[0].writer
    old = {"calls.events.v1": "id-1", "calls.ended.v1": "id-2"}
    assert writer.begin(A, old) == writer.begin(A, old) == writer.begin(A) == A
    for changed in (old | {"calls.ended.v1": "id-3"}, {"calls.events.v1": "id-4"}):
        with pytest.raises(RecreatedError, match=r"calls\.\w+\.v1 was deleted and made again"):
            writer.begin(A, changed)
    assert writer.begin(A, old | {"calls.alerts.v1": "id-5"}) == A
    with pytest.raises(RecreatedError, match="alerts"):
        writer.begin(A, {"calls.alerts.v1": "id-6"})


async def made_again(chosen: Settings, *read: str) -> None:
    """Delete topics, and make them again. Without names: those of the archive."""
    names = topics.names(chosen.topic_prefix)
    read = read or (names.events, names.ended, names.alerts)
    async with admin_client(connection(chosen, "test")) as admin, asyncio.timeout(60):
        await admin.start()
        await admin.delete_topics([*read])
        while await topic_ids(admin, read):
            await asyncio.sleep(0.05)
        await topics.ensure(chosen.kafka, chosen)
        while len(await topic_ids(admin, read)) < len(read):
            await asyncio.sleep(0.05)


async def is_told(role: ArchiveRole, caplog: pytest.LogCaptureFixture, says: str) -> None:
    await until(lambda: not role.ready()[0] and says in caplog.text, "it is told")
    status, ready = await asyncio.to_thread(get_text, f"{role.url}/readyz")
    assert status == 503
    assert "the archive was written from other topics" in ready
    assert role.live()[0]
    _, metrics = await asyncio.to_thread(get_text, f"{role.url}/metrics")
    assert "callstream_archive_up 0.0" in metrics
    assert 'callstream_archive_write_errors_total{reason="recreated"} 0.0' not in metrics


@pytest.mark.parametrize("ids", ["known", "not told"])
async def test_it_is_noticed_at_the_start_and_a_rebuild_reads_the_new_one(
    broker: RealBroker,
    prefix: str,
    where: Path | str,
    ids: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With ids, the new topics may have more records than the old ones; without, their ends say it."""
    monkeypatch.setattr(same_topics, "RECHECK_S", 0.3)
    if ids == "not told":
        monkeypatch.setattr(same_topics, "topic_ids", no_ids)
    chosen = settings(broker, prefix, where)
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, old := written(["amd"]))
    async with reading(chosen) as archive:
        async with serving(chosen):
            await until(lambda: ids_in(archive) == truth(old), "the archive has the old ones")
        await made_again(chosen)
        produce(chosen, new := written(["busy"], range(9 if ids == "known" else 0)))
        with caplog.at_level(logging.ERROR, "callstream.archive"):
            async with serving(chosen) as role:
                says = "was deleted and made again" if ids == "known" else "ends before offset"
                await is_told(role, caplog, says)
                await asyncio.sleep(1)
                assert ids_in(archive) == truth(old)
                assert sum(says in one for one in caplog.messages) == 1
                await asyncio.to_thread(rebuild, chosen)
                await until(lambda: role.ready()[0] and ids_in(archive) == truth(new), "it has the new ones")
                assert role.metrics.registry.get_sample_value("callstream_archive_up") == 1


async def no_ids(*asked: object) -> dict[str, str]:
    return {}


async def test_it_is_noticed_while_the_role_reads(
    broker: RealBroker,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(same_topics, "CHECK_S", 0.3)
    monkeypatch.setattr(same_topics, "RECHECK_S", 0.3)
    chosen = settings(broker, prefix, tmp_path)
    await topics.ensure(chosen.kafka, chosen)
    produce(chosen, old := written(["amd"]))
    async with reading(chosen) as archive, serving(chosen) as role:
        await until(lambda: ids_in(archive) == truth(old), "the archive has the old ones")
        with caplog.at_level(logging.ERROR, "callstream.archive"):
            await made_again(chosen)
            await is_told(role, caplog, "was deleted and made again")
        produce(chosen, written(["busy"]))
        await asyncio.sleep(1)
        assert ids_in(archive) == truth(old)
