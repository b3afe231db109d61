"""Files of tokens are read again when they change; one that cannot be used changes nothing."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.api import service
from stream.api.access import token_files
from stream.service.settings import load
from stream.service.tables.api_tokens import line_of
from tests.api.live.following import text_of
from tests.api.test_server import answer, get
from tests.notify.sinks.stub_sinks import until

FIRST, SECOND = line_of("first", ["read"], [], "token-1"), line_of("second", ["read"], [], "token-2")


@asynccontextmanager
async def running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> AsyncIterator[service.RunningApi]:
    """The API, whose tokens are in a file behind a link, as Kubernetes mounts it."""
    monkeypatch.setattr(token_files, "CHECK_S", 0.02)
    (folder / "tokens").symlink_to(folder / "mounted")
    for variable, value in {
        f"{name}_FILE": str(folder / "tokens"),
        "CALLSTREAM_KAFKA": "127.0.0.1:9",
        "CALLSTREAM_DATA_DIR": str(folder),
        "CALLSTREAM_API_LISTEN": "127.0.0.1:0",
        "CALLSTREAM_API_HEALTH_LISTEN": "127.0.0.1:0",
    }.items():
        monkeypatch.setenv(variable, value)
    async with service.serving(load()) as api:
        yield api


def mount(folder: Path, text: str) -> None:
    """Put another file in its place at once."""
    new = folder / "new"
    new.write_text(text)
    os.replace(new, folder / "mounted")


def _no_file_left(_: Path) -> str:
    raise OSError(errno.EMFILE, "")


async def status(url: str, token: str) -> str:
    return (await answer(url, get("/v1/calls", Authorization=f"Bearer {token}"))).split()[1]


async def becomes(url: str, token: str, expected: str) -> None:
    async with asyncio.timeout(10):
        while await status(url, token) != expected:
            await asyncio.sleep(0.02)


async def test_a_token_that_is_removed_works_no_longer_and_a_new_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mount(tmp_path, f"{FIRST}\n")
    async with running(tmp_path, monkeypatch, "CALLSTREAM_API_TOKENS") as api:
        assert [await status(api.url, token) for token in ("token-1", "token-2")] == ["503", "401"]
        with caplog.at_level(logging.INFO, "callstream.api"):
            mount(tmp_path, f"{SECOND}\n")
            await becomes(api.url, "token-1", "401")
        assert await status(api.url, "token-2") == "503"
        assert caplog.messages[-1] == "tokens read again: there are 1"
        assert "callstream_config_last_reload_successful 1" in await text_of(f"{api.health_url}/metrics")


async def test_the_file_of_the_one_token_is_read_again_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(tmp_path, "token-1\n")
    async with running(tmp_path, monkeypatch, "CALLSTREAM_API_TOKEN") as api:
        assert await status(api.url, "token-1") == "503"
        mount(tmp_path, "token-2\n")
        await becomes(api.url, "token-1", "401")
        assert await status(api.url, "token-2") == "503"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("first read * token-1", "must be lines of `NAME SCOPES ACCOUNTS sha256:HASH`"),
        (f"{FIRST}\n{FIRST}", "must name each token once"),
        ("# nobody\n", "no token is in it"),
        (None, "No such file or directory"),
    ],
)
async def test_a_file_that_cannot_be_used_leaves_the_tokens_as_they_were(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    text: str | None,
    why: str,
) -> None:
    mount(tmp_path, f"{FIRST}\n")
    async with running(tmp_path, monkeypatch, "CALLSTREAM_API_TOKENS") as api:
        mount(tmp_path, text) if text is not None else (tmp_path / "mounted").unlink()
        await until(lambda: bool(caplog.messages), "it is said")
        await asyncio.sleep(0.2)
        (said,) = caplog.messages
        assert said.startswith(f"the tokens stay as they were: {tmp_path / 'tokens'}")
        assert why in said
        assert "token-1" not in said
        assert [await status(api.url, token) for token in ("token-1", "")] == ["503", "401"]
        assert "callstream_config_last_reload_successful 0" in await text_of(f"{api.health_url}/metrics")
        mount(tmp_path, f"{FIRST}\n{SECOND}\n")
        await becomes(api.url, "token-2", "503")
        assert "callstream_config_last_reload_successful 1" in await text_of(f"{api.health_url}/metrics")


async def test_a_file_that_is_being_written_is_read_when_it_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(tmp_path, f"{FIRST}\n")
    async with running(tmp_path, monkeypatch, "CALLSTREAM_API_TOKENS") as api:
        await asyncio.sleep(0.1)
        writes = iter(range(1, 10**9))
        with monkeypatch.context() as busy:
            busy.setattr(token_files, "_version", lambda path: (next(writes),))
            mount(tmp_path, f"{SECOND}\n")
            await asyncio.sleep(0.3)
            assert await status(api.url, "token-1") == "503"
        await becomes(api.url, "token-1", "401")


async def test_a_file_that_could_not_be_read_is_read_again_although_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when its rights were wrong, or this process had no file left to open."""
    mount(tmp_path, f"{FIRST}\n")
    async with running(tmp_path, monkeypatch, "CALLSTREAM_API_TOKENS") as api:
        with monkeypatch.context() as full:
            full.setattr(Path, "read_text", _no_file_left)
            mount(tmp_path, f"{SECOND}\n")
            await until(lambda: bool(caplog.messages), "it is said")
            await asyncio.sleep(0.2)
            assert await status(api.url, "token-1") == "503"
        await becomes(api.url, "token-1", "401")
        (said,) = (one for one in caplog.messages if "tokens" in one)
        assert said.endswith("cannot be read: OSError: Too many open files (errno 24)")
