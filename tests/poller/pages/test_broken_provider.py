"""A broken provider: malformed pages become dead letters, good rows survive, and every page ends."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest

from stream.kafka.envelope_codec import LETTER_LIMIT_BYTES
from stream.poller.pages.paged_read import ReadResult
from tests.poller.fake_provider import Reply, endless, silent
from tests.poller.pages.read_fixture import EVENTS, FIRST, ReadSetup, page, read_setup, row

RUBBISH = [
    (b"<html><body>Service is busy</body></html>", "not_json"),
    (b'{"events":[{"request":null},{"requ', "not_json"),
    (b"", "not_json"),
    (b"[]", "not_an_object"),
    (b'{"items":[]}', "invalid_field"),
    (b'{"events":null}', "invalid_field"),
    (b'{"code":20404,"message":"not found","status":404}', "invalid_field"),
]


@pytest.mark.parametrize(("body", "reason"), RUBBISH)
async def test_a_malformed_page_with_a_status_of_200_becomes_a_dead_letter(
    setup: ReadSetup, body: bytes, reason: str
) -> None:
    setup.provider.at(FIRST, page(row(1), onwards="/2"))
    setup.provider.at("/2", Reply(200, body))
    came = await setup.events()
    assert came == ReadResult("rubbish", 1, False, None, 1, came.problem)
    assert came.problem
    (letter,) = setup.writer.dead_letters
    assert (letter.value, letter.reason, letter.source) == (body, reason, "twilio_call_event")
    assert dict(letter.headers)["source_topic"] == EVENTS.encode()
    assert setup.metrics.requests == [("twilio_call_event", "success"), ("twilio_call_event", "rubbish")]
    assert setup.pauses == []


async def test_broken_rows_do_not_affect_others(setup: ReadSetup) -> None:
    huge = b'{"request":null,"response":{"x":"%s"}}' % (b"y" * (2 << 20))
    half = rb'{"request":{"url":"\ud83d"}}'
    setup.provider.at(FIRST, page(row(1), b"12", huge, half, row(2)))
    came = await setup.events()
    assert (came.outcome, came.rows, came.problem) == ("success", 2, "")
    assert setup.bodies == [row(1), row(2)]
    assert [letter.reason for letter in setup.writer.dead_letters] == [
        "invalid_field",
        "too_large",
        "not_json",
    ]
    assert len(setup.writer.dead_letters[1].value) == LETTER_LIMIT_BYTES


async def test_a_page_of_far_too_many_rows_becomes_one_dead_letter(setup: ReadSetup) -> None:
    too_many = page(*[b"1"] * 20_000)
    setup.provider.at(FIRST, too_many)
    assert await setup.events() == ReadResult("rubbish", problem="more than 10000 rows")
    (letter,) = setup.writer.dead_letters
    assert (letter.reason, letter.value) == ("too_large", too_many.body)


async def test_other_tasks_run_while_a_large_page_is_processed(setup: ReadSetup) -> None:
    longest_s, ended = 0.0, False

    async def watch() -> None:
        nonlocal longest_s
        while not ended:
            began_s = time.monotonic()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, time.monotonic() - began_s)

    deep = b"[" * (1 << 19)
    setup.provider.at(FIRST, Reply(200, gzip.compress(b'{"events":[' + deep), {"Content-Encoding": "gzip"}))
    watching = asyncio.create_task(watch())
    took_s = time.monotonic()
    assert (await setup.events()).outcome == "rubbish"
    took_s, ended = time.monotonic() - took_s, True
    await watching
    assert longest_s < took_s / 2


@pytest.mark.parametrize("kind", ["plain", "bomb", "endless"])
async def test_an_endless_page_stops_at_the_limit_and_its_beginning_is_kept(kind: str) -> None:
    async with read_setup(max_page_bytes=3 << 20) as setup:
        spaces = b" " * (8 << 20)
        setup.provider.otherwise = {
            "plain": Reply(200, spaces[: 4 << 20]),
            "bomb": Reply(200, gzip.compress(spaces), {"Content-Encoding": "gzip"}),
            "endless": endless,
        }[kind]
        came = await setup.events()
        assert came == ReadResult("rubbish", problem="more than 3145728 bytes")
        (letter,) = setup.writer.dead_letters
        assert (letter.reason, letter.value) == ("too_large", b" " * LETTER_LIMIT_BYTES)
        assert dict(letter.headers)["truncated"] == b"3145728"
        assert len(setup.provider.seen) == 1


async def test_a_page_that_never_comes_is_a_network_error() -> None:
    async with read_setup(timeout_s=0.05) as setup:
        setup.provider.otherwise = silent
        came = await setup.events()
        assert came == ReadResult("network_error", problem="no whole response within 0.05 s")
        assert [outcome for _, outcome in setup.metrics.requests] == ["network_error"] * 5
        assert min(setup.metrics.seconds) > 0.04
