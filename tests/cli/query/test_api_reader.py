"""The commands about calls through a real query API: the same answers as from the archive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from stream.api.service import serving
from stream.archive.questions import AlertFilter, BadCursorError, CallFilter
from stream.cli.query.api_reader import ApiCallReader
from stream.cli.query.archive_reader import ArchiveCallReader
from stream.cli.query.opening import key_of
from stream.cli.query.reader import NoAnswerError
from stream.service.settings import ApiSettings
from stream.service.tables.api_tokens import line_of, read_tokens
from tests.cli.query.stored import stored
from tests.cli.query.test_commands import BUSY, FAILED, TELNYX

ACCOUNT = "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
TOKENS = (
    line_of("all", ["read", "read:numbers"], [], "token-of-all"),
    line_of("twilio", ["read"], [ACCOUNT], "token-of-twilio"),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ArchiveCallReader]]:
    folder = tmp_path_factory.mktemp("data")
    with stored(folder, "child-legs", "telnyx-v1-v2-mix", "spam-block") as (_, reader):
        yield folder, reader


@pytest.fixture
async def url(kept: tuple[Path, ArchiveCallReader]) -> AsyncIterator[str]:
    """Where the API of this archive answers."""
    chosen = ApiSettings(
        data_dir=kept[0],
        api_listen="127.0.0.1:0",
        api_health_listen="127.0.0.1:0",
        api_tokens=read_tokens("\n".join(TOKENS)),
    )
    async with serving(chosen) as running:
        yield running.url


@pytest.fixture
async def api(url: str) -> AsyncIterator[ApiCallReader]:
    reader = ApiCallReader(url, "token-of-all")
    yield reader
    await reader.close()


@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(),
        CallFilter(outcome=("busy", "failed"), direction="outbound"),
        CallFilter(fault=("callee", "spam_block"), provider="twilio"),
        CallFilter(number="+15*******04", sip_response_code=486, status=("busy",)),
        CallFilter(accounts=frozenset({ACCOUNT})),
        CallFilter(complete=True, min_duration_s=1.5, max_duration_s=60.0),
        CallFilter(error_code="53405"),
    ],
)
async def test_calls_are_those_of_the_archive(
    api: ApiCallReader, kept: tuple[Path, ArchiveCallReader], wanted: CallFilter
) -> None:
    assert await api.calls(wanted, 50) == await kept[1].calls(wanted, 50)


async def test_pages_follow_each_other(api: ApiCallReader) -> None:
    first = await api.calls(CallFilter(), 2)
    second = await api.calls(CallFilter(), 2, first.next)
    assert [one.key for one in first.items + second.items] == [BUSY, TELNYX, FAILED]
    with pytest.raises(BadCursorError):
        await api.calls(CallFilter(), 2, "no-cursor")


async def test_a_call_and_its_alerts_are_those_of_the_archive(
    api: ApiCallReader, kept: tuple[Path, ArchiveCallReader]
) -> None:
    assert await api.call(FAILED) == await kept[1].call(FAILED)
    assert await api.call("twilio:CA9") is None
    assert await api.alerts(AlertFilter(state="firing"), 50) == await kept[1].alerts(
        AlertFilter(state="firing"), 50
    )


async def test_a_call_is_found_by_a_part_of_its_id(api: ApiCallReader) -> None:
    assert await key_of(api, "0002") == BUSY
    assert await key_of(api, "CA000000…00000001") == FAILED


async def test_a_token_of_one_account_finds_nothing_of_another(url: str) -> None:
    reader = ApiCallReader(url, "token-of-twilio")
    assert [one.key for one in (await reader.calls(CallFilter(), 50)).items] == [BUSY, FAILED]
    assert await reader.call(TELNYX) is None
    assert await reader.find("c3f1d6a0", 10) == []
    await reader.close()


@pytest.mark.parametrize(
    ("token", "says"),
    [("", "wants a token: set CALLSTREAM_API_TOKEN"), ("wrong", "wants a token: set CALLSTREAM_API_TOKEN")],
)
async def test_without_a_good_token_it_says_what_to_set(url: str, token: str, says: str) -> None:
    reader = ApiCallReader(url, token)
    with pytest.raises(NoAnswerError) as told:
        await reader.calls(CallFilter(), 50)
    assert str(told.value) == f"{url} {says}"
    await reader.close()


async def test_what_the_api_refuses_is_told_in_its_words(api: ApiCallReader) -> None:
    with pytest.raises(NoAnswerError, match=r"refuses the question: limit "):
        await api.calls(CallFilter(), 5000)


async def test_nothing_that_listens_is_one_sentence() -> None:
    reader = ApiCallReader("http://127.0.0.1:1", "")
    with pytest.raises(NoAnswerError, match=r"^http://127\.0\.0\.1:1 does not answer: "):
        await reader.find("0002", 10)
    await reader.close()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>", "does not answer like a query API of callstream"),
        (200, b'{"items": 7}', "does not answer like a query API of callstream"),
        (200, b'{"x":' * 100_000, "does not answer like a query API of callstream"),
        (404, b"", "is not a query API of callstream: it has no /v1/calls"),
        (503, b"", "cannot read its archive for now"),
        (500, b"", "answers with 500"),
        (400, b"\xff", "refuses the question"),
    ],
)
async def test_an_answer_that_is_none_is_named(status: int, body: bytes, says: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/v1/calls", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    reader = ApiCallReader(f"http://127.0.0.1:{port}", "")
    try:
        with pytest.raises(NoAnswerError) as told:
            await reader.calls(CallFilter(), 50)
    finally:
        await reader.close()
        await runner.cleanup()
    assert str(told.value) == f"http://127.0.0.1:{port} {says}"
