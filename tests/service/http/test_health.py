"""A role's own HTTP answers for its health, and tells nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession

from stream.service.http.health import (
    CONNECTIONS_AT_MOST,
    OPENMETRICS,
    Scrapes,
    serve,
    takes_gzip,
)
from stream.service.http.listening import ListenError, address


@dataclass
class Role:
    """A role whose health a test decides."""

    live: tuple[bool, Sequence[str]] = (True, ())
    ready: tuple[bool, Sequence[str]] = (True, ())
    asked_for: list[str] = field(default_factory=list)
    broken: bool = False

    def is_live(self) -> tuple[bool, Sequence[str]]:
        if self.broken:
            raise RuntimeError("+15005550006")
        return self.live

    def is_ready(self) -> tuple[bool, Sequence[str]]:
        return self.ready

    def metrics(self, accept: str) -> tuple[bytes, str]:
        self.asked_for.append(accept)
        return b"callstream_rebalances_total 0.0\n" * 100, "text/plain; version=0.0.4; charset=utf-8"


@pytest.fixture
def role() -> Role:
    return Role()


@pytest.fixture
async def http(role: Role) -> AsyncIterator[ClientSession]:
    async with (
        serve("127.0.0.1:0", metrics=role.metrics, live=role.is_live, ready=role.is_ready) as url,
        ClientSession(url) as session,
    ):
        yield session


async def test_a_worker_that_makes_progress_is_live(http: ClientSession) -> None:
    async with http.get("/livez") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok", "reasons": []})


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_what_is_missing_is_said_in_words(http: ClientSession, role: Role, path: str) -> None:
    role.live = role.ready = (False, ["no broker heard from for 12 s", "recovering: 40000 records to go"])

    async with http.get(path) as answer:
        assert (answer.status, await answer.json()) == (
            503,
            {
                "status": "unavailable",
                "reasons": ["no broker heard from for 12 s", "recovering: 40000 records to go"],
            },
        )
        assert answer.headers["Cache-Control"] == "no-store"


async def test_live_and_ready_are_two_questions(http: ClientSession, role: Role) -> None:
    role.ready = (False, ("no partition assigned",))

    async with http.get("/livez") as live, http.get("/readyz") as ready:
        assert (live.status, ready.status) == (200, 503)


async def test_a_check_that_fails_itself_is_a_reason_without_its_details(
    http: ClientSession, role: Role
) -> None:
    role.broken = True

    async with http.get("/livez") as answer:
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["the check itself failed: RuntimeError"]


async def test_a_scrape_is_asked_for_in_the_format_that_prometheus_accepts(
    http: ClientSession, role: Role
) -> None:
    async with http.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
        text = await answer.text()

    assert (answer.status, text) == (200, "callstream_rebalances_total 0.0\n" * 100)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert role.asked_for == ["application/openmetrics-text"]


async def test_an_exposition_is_made_once_a_second_however_many_ask_and_in_whatever_format(
    role: Role,
) -> None:
    now_s = 100.0
    scrapes = Scrapes(role.metrics, lambda: now_s)
    for _ in range(50):
        assert (await scrapes.newest("text/plain"))[0] == b"callstream_rebalances_total 0.0\n" * 100
    assert role.asked_for == [""]
    now_s = 101.0
    await scrapes.newest("text/plain")
    assert role.asked_for == [""] * 2
    for number in range(50):
        await scrapes.newest(f"text/{number}")
    await scrapes.newest("application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    assert role.asked_for == ["", "", OPENMETRICS]


async def test_a_scrape_is_packed_only_for_who_takes_that(http: ClientSession) -> None:
    async with http.get("/metrics", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.text() == "callstream_rebalances_total 0.0\n" * 100


async def test_who_has_many_connections_to_a_role_costs_others_nothing(role: Role) -> None:
    async with serve("127.0.0.1:0", metrics=role.metrics, live=role.is_live, ready=role.is_ready) as url:
        host, port = url.removeprefix("http://").split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(CONNECTIONS_AT_MOST + 8)]
        async with ClientSession(url) as session, session.get("/livez") as answer:
            assert answer.status == 200
        for _, writer in silent:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/v1/calls", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/livez", 405),
    ],
)
async def test_whatever_else_is_asked_for_gets_a_bare_status(
    http: ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, path) as answer:
        assert (answer.status, await answer.read()) == (status, b"")


async def test_no_answer_names_the_software_behind_it(http: ClientSession) -> None:
    for path in ("/metrics", "/livez", "/nothing"):
        async with http.get(path) as answer:
            assert "Server" not in answer.headers


async def test_a_taken_port_is_said_with_the_setting_to_change(role: Role) -> None:
    async with serve("127.0.0.1:0", metrics=role.metrics, live=role.is_live, ready=role.is_ready) as url:
        taken = url.removeprefix("http://")
        with pytest.raises(ListenError) as refused:
            async with serve(
                taken,
                metrics=role.metrics,
                live=role.is_live,
                ready=role.is_ready,
                setting="CALLSTREAM_POLLER_LISTEN",
            ):
                pytest.fail("two roles listen on one port")

    assert str(refused.value) == (
        f"{taken} is in use by another program: stop it, or set CALLSTREAM_POLLER_LISTEN to another address"
    )


async def test_the_port_is_free_again_after_the_role_has_ended(role: Role) -> None:
    async with (
        serve("127.0.0.1:0", metrics=role.metrics, live=role.is_live, ready=role.is_ready) as url,
        ClientSession() as asks,
        asks.get(url + "/livez"),
    ):
        pass
    again = url.removeprefix("http://")
    async with serve(again, metrics=role.metrics, live=role.is_live, ready=role.is_ready) as second:
        assert second == url


async def test_an_idle_connection_does_not_hold_up_the_end(role: Role) -> None:
    async with asyncio.timeout(5):
        async with serve("127.0.0.1:0", metrics=role.metrics, live=role.is_live, ready=role.is_ready) as url:
            host, port = url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
        writer.close()


async def test_scrapes_leave_no_lines_in_the_log(
    http: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="aiohttp"):
        async with http.get("/metrics"), http.get("/nothing"):
            pass

    assert caplog.records == []


async def test_an_answer_to_what_fails_has_nothing_of_the_failure_in_it(
    role: Role, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.get_running_loop().set_debug(True)

    def fail(accept: str) -> tuple[bytes, str]:
        raise KeyError("+15005550006")

    async with (
        serve("127.0.0.1:0", metrics=fail, live=role.is_live, ready=role.is_ready) as url,
        ClientSession(url) as session,
        session.get("/metrics", headers={"Accept": "text/html"}) as answer,
    ):
        assert (answer.status, await answer.text()) == (500, "")
    assert "Error handling request" in caplog.text


async def test_an_address_that_is_not_of_this_machine_is_said(role: Role) -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:8081 is not an address of this machine"):
        async with serve("192.0.2.1:8081", metrics=role.metrics, live=role.is_live, ready=role.is_ready):
            pytest.fail("a foreign address was listened on")


@pytest.mark.parametrize(
    ("listen", "parts"),
    [
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(listen: str, parts: tuple[str, int]) -> None:
    assert address(listen, "CALLSTREAM_WORKER_LISTEN") == parts


@pytest.mark.parametrize(
    "listen", ["", "8081", ":8081", "localhost", "localhost:", "localhost:http", "h:65536", "h:-1"]
)
def test_what_is_not_an_address_is_refused_by_the_name_of_its_setting(listen: str) -> None:
    with pytest.raises(ListenError, match=r"CALLSTREAM_WORKER_LISTEN: .* is not host:port"):
        address(listen, "CALLSTREAM_WORKER_LISTEN")


async def test_published_documents_are_made_once_and_served(role: Role) -> None:
    made: list[str] = []

    def documents() -> dict[str, bytes]:
        made.append("made")
        return {"event.json": b'{"title": "Event"}'}

    async with (
        serve(
            "127.0.0.1:0", metrics=role.metrics, live=role.is_live, ready=role.is_ready, documents=documents
        ) as url,
        ClientSession(url) as session,
    ):
        assert made == []
        async with session.get("/schemas/") as answer:
            assert await answer.json() == ["/schemas/event.json"]
        async with session.get("/schemas/event.json") as answer:
            assert (answer.status, await answer.json()) == (200, {"title": "Event"})
        async with session.get("/schemas/alert.json") as answer:
            assert answer.status == 404
    assert made == ["made"]


@pytest.mark.parametrize(
    ("said", "is_packed"),
    [
        ("", False),
        ("br, GZIP ; q=1", True),
        ("gzip;q=0.5, *;q=0", True),
        ("gzip;q=0", False),
        ("br, gzip; q=0.0, x", False),
    ],
)
def test_who_says_that_it_does_not_read_gzip_gets_none(said: str, is_packed: bool) -> None:
    assert takes_gzip(said) is is_packed
