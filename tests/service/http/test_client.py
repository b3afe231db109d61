"""One session for all requests of our own: nothing goes along but what a request is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.service.http.client import session

ROOT = Path(__file__).parents[2]


async def test_no_cookie_no_proxy_and_no_netrc_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    async def answer(asked: web.Request) -> web.Response:
        seen.append(dict(asked.headers))
        return web.Response(headers={"Set-Cookie": "a=b"})

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login planted password planted\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server, session() as client:
        for _ in range(2):
            async with client.get(server.make_url("/")) as got:
                assert got.status == 200
    for headers in seen:
        assert set(headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent"}


def test_nobody_else_reads_an_http_date_or_talks_to_a_provider_by_a_session_of_its_own() -> None:
    dates = re.compile(r"parsedate|http_date")
    for path in [*(ROOT / "stream").rglob("*.py"), *(ROOT / "agents").rglob("*.py")]:
        if path.name == "outgoing.py" or "simulate" in path.parts:
            continue
        text = path.read_text()
        assert not dates.search(text), f"{path}: dates are read in stream/service/http/client.py"
        if "polling" in path.parts or "checkup" in path.parts:
            assert "ClientSession(" not in text, f"{path}: sessions are made in stream/service/http/client.py"
