"""Large pages are processed in a thread, so that heartbeats do not wait for them."""

from __future__ import annotations

import gzip
import random
import threading
from collections import defaultdict
from typing import Any

import pytest

from stream.poller.pages import client, paging, records
from stream.poller.pages.paged_read import THREAD_BYTES
from tests.poller.pages.read_fixture import FIRST, ReadSetup, page, row
from tests.poller.provider import Reply

STEPS = ((records.RecordBuilder, "page"), (paging.PageTrail, "count_repeated"), (client.Decompressor, "feed"))


@pytest.fixture
def in_thread(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """For each processing step of a page, whether it ran in a thread."""
    seen: dict[str, set[bool]] = defaultdict(set)

    def watch(kind: Any, name: str) -> None:
        step = getattr(kind, name)

        def recorded(*arguments: Any, **named: Any) -> Any:
            seen[name].add(threading.current_thread() is not threading.main_thread())
            return step(*arguments, **named)

        monkeypatch.setattr(kind, name, recorded)

    for kind, name in STEPS:
        watch(kind, name)
    return seen


def rows(size: int) -> list[bytes]:
    """Rows of about `size` bytes in all, which do not compress well."""
    chance = random.Random(1)
    return [
        row(n)[:-1] + b',"padding":"%s"}' % chance.randbytes(500).hex().encode() for n in range(size // 1000)
    ]


def packed(*found: bytes) -> Reply:
    reply = page(*found)
    return Reply(200, gzip.compress(reply.body), {"Content-Encoding": "gzip"})


async def test_a_large_page_is_processed_outside_the_event_loop(
    setup: ReadSetup, in_thread: dict[str, set[bool]]
) -> None:
    found = rows(2 * THREAD_BYTES)
    setup.provider.at(FIRST, packed(*found))
    came = await setup.events()
    assert (came.outcome, came.rows, setup.bodies) == ("success", len(found), found)
    assert in_thread["page"] == in_thread["count_repeated"] == {True}
    assert True in in_thread["feed"]


async def test_a_small_page_is_processed_in_the_event_loop(
    setup: ReadSetup, in_thread: dict[str, set[bool]]
) -> None:
    setup.provider.at(FIRST, packed(row(1), row(2)))
    assert (await setup.events()).rows == 2
    assert in_thread == {"page": {False}, "count_repeated": {False}, "feed": {False}}
