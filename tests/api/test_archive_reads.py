"""How many reads of the archive run and wait at once."""

from __future__ import annotations

import asyncio

import pytest

from stream.api.problems import Refused
from tests.api.clients import parts
from tests.api.test_app import Hanging


async def test_more_reads_than_may_wait_are_refused_at_once() -> None:
    archive = Hanging()
    reads = parts(archive, api_archive_timeout_s=5).reads
    running = [asyncio.create_task(reads.run(archive.calls)) for _ in range(18)]
    await asyncio.sleep(0.05)
    with pytest.raises(Refused) as refused:
        await reads.run(archive.calls)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    archive.let_go.set()
    assert await asyncio.gather(*running) == ["calls"] * 18
    assert await reads.run(archive.calls) == "calls"
    reads.close()


async def test_searches_leave_half_of_the_threads_to_the_other_questions() -> None:
    """Also after their clients have gone: a thread searches on."""
    archive = Hanging()
    reads = parts(archive, api_archive_timeout_s=0.3).reads
    searching = [asyncio.create_task(reads.search(archive.calls)) for _ in range(3)]
    for _ in range(2):
        assert await reads.run(lambda: "answered") == "answered"
        refused = await asyncio.gather(*searching, return_exceptions=True)
        assert [type(one) for one in refused] == [Refused] * len(searching)
        searching = []
    archive.let_go.set()
    await asyncio.sleep(0.1)
    assert await reads.search(archive.calls) == "calls"
    reads.close()
