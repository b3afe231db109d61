"""Each read takes permits of its account and is written, and each outage is logged once."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from stream.core.fetches import FetchRead, FetchRequest
from stream.poller.limiter.rate_limiter import NoPermitError, RateLimiters
from stream.poller.pages.account_reader import AccountReader
from stream.poller.pages.client import PageClient
from stream.poller.pages.paged_read import ReadResult
from stream.poller.pages.polled_writer import PolledWriter
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from stream.poller.schedule.backfills import PRIORITY as BACKFILL
from stream.poller.schedule.windows import Windows
from stream.service.log_once import CALM_S
from stream.service.settings import Settings
from stream.sources import DECODERS
from tests.poller import accounts
from tests.poller.accounts import ACCOUNT_SID, CALL_SID
from tests.poller.fake_provider import FakeProvider, OpenLimiter, RecordingMetrics, Reply, fake_provider
from tests.poller.schedule.progress_fakes import FakeStore, until

CALLS = RESOURCES["twilio_call"]
ROW = b'{"sid":"%s","account_sid":"%s","status":"completed","duration":"0"}' % (
    CALL_SID.encode(),
    ACCOUNT_SID.encode(),
)
A_CALL = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}.json"
A_WINDOW = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json?to=%2B15005550009"
HTML = Reply(200, b"<html>+15005550009 is not to be logged</html>")
REFUSED = Reply(401)
NOT_YET = Reply(404)
ONE_CALL = Reply(200, ROW)


def page(*rows: bytes) -> Reply:
    return Reply(200, b'{"calls":[%s],"next_page_uri":null}' % b",".join(rows))


def request(source: str = "twilio_call", edge: str | None = None, priority: str = "heal") -> FetchRequest:
    return FetchRequest(
        key=f"twilio:{CALL_SID}",
        account=ACCOUNT_SID,
        reads=[FetchRead(source, edge)],
        reason="ended",
        due_at="2026-03-02T10:00:00Z",
        attempt=1,
        priority=priority,
    )


class Broker:
    """Takes every record, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def send_all(self, records: Sequence[Any], limit_s: float, **_: object) -> None:
        self.taken += [record.value for record in records]


class ClosedLimiter:
    """Of an account that is closed, for a caller that does not wait."""

    @asynccontextmanager
    async def permit(self, priority: str, source: str) -> AsyncIterator[Any]:
        raise NoPermitError("twilio/main is closed for now", "throttled")
        yield


class FakeLimiters:
    """The limiter of every account."""

    def __init__(self) -> None:
        self.patient = OpenLimiter()

    def of(self, account: Account) -> OpenLimiter:
        return self.patient


class ReaderSetup:
    """A reader, and all that it needs."""

    def __init__(self, provider: FakeProvider, client: PageClient) -> None:
        self.provider = provider
        self.account = accounts.twilio(provider.url, provider.url)
        self.limiters, self.broker, self.now_s = FakeLimiters(), Broker(), 0.0
        self.given = OpenLimiter()
        self.metrics = RecordingMetrics()
        writer = PolledWriter(self.broker, polled="polled", dead_letters="dead", metrics=self.metrics)
        self.reader = AccountReader(client, self.limiters, writer, self.metrics, lambda: self.now_s)  # type: ignore[arg-type]

    async def read(self, answer: Reply, after_s: float = 0.0, account: Account | None = None) -> ReadResult:
        """Read the call on demand; the provider answers with `answer`."""
        self.now_s += after_s
        self.provider.at(A_CALL, answer)
        return await self.request(request(), account)

    async def request(self, request: FetchRequest, account: Account | None = None) -> ReadResult:
        (read,) = request.reads
        return await self.reader.read_request(request, read, account or self.account, self.given)

    async def window(
        self, *, skip_known: bool = True, on_written: Callable[..., None] | None = None
    ) -> ReadResult:
        return await self.reader.read_window(
            CALLS,
            self.account,
            self.provider.url + A_WINDOW,
            "freshness",
            skip_known=skip_known,
            on_written=on_written,
        )


@asynccontextmanager
async def reader_setup() -> AsyncIterator[ReaderSetup]:
    async with fake_provider() as provider, PageClient() as client:
        yield ReaderSetup(provider, client)


async def test_a_request_is_read_at_its_edge_with_its_account_and_priority_and_the_given_permits() -> None:
    async with reader_setup() as at:
        at.provider.otherwise = Reply(200, b'{"events":[],"meta":{}}')
        done = await at.request(request("twilio_insights_event", edge="sip_edge", priority="terminal"))
    assert (done.outcome, done.rows) == ("empty", 0)
    [(path, authorization)] = at.provider.seen
    assert path.startswith(f"/v1/Voice/{CALL_SID}/Events?")
    assert "Edge=sip_edge" in path.partition("?")[2].split("&")
    assert authorization == at.account.authorization
    assert at.given.answers == [("terminal", "twilio_insights_event", "empty", None)]
    assert at.limiters.patient.answers == []


async def test_a_call_of_a_backfill_waits_for_its_permits() -> None:
    async with reader_setup() as at:
        at.provider.at(A_CALL, ONE_CALL)
        done = await at.reader.read_call(CALLS, at.account, CALL_SID, None, BACKFILL)
    assert (done.outcome, done.rows, done.complete) == ("success", 1, True)
    assert at.limiters.patient.answers == [("backfill", "twilio_call", "success", None)]
    assert at.given.answers == []


async def test_a_request_for_an_account_that_is_closed_is_answered_at_once() -> None:
    async with reader_setup() as at:
        done = await at.reader.read_request(request(), request().reads[0], at.account, ClosedLimiter())
    assert done == ReadResult("throttled", problem="twilio/main is closed for now (throttled)")
    assert at.provider.seen == []


async def test_a_base_url_without_tls_on_another_host_is_logged_and_nothing_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with reader_setup() as at:
        elsewhere = replace(at.account, api_url="http://192.0.2.1")
        done = await at.read(ONE_CALL, account=elsewhere)
        window = await at.reader.read_window(CALLS, elsewhere, "http://192.0.2.1" + A_WINDOW, "freshness")
    assert (done.outcome, window) == ("client_error", done)
    why = "its base URL has no TLS and 192.0.2.1 is not this machine"
    assert why in done.problem
    assert caplog.messages == [f"twilio_call of twilio/main cannot be read (client_error): {done.problem}"]
    assert at.given.answers == at.limiters.patient.answers == []


async def test_a_request_about_an_invalid_call_id_is_answered_without_an_http_request() -> None:
    async with reader_setup() as at:
        done = await at.request(request("twilio_call", priority="heal"))
        assert done.outcome == "not_ready"
        bad = request()
        bad.key = "twilio:../../Accounts"
        refused = await at.request(bad)
    assert (refused.outcome, refused.rows) == ("client_error", 0)
    assert at.provider.paths == [A_CALL]


async def test_a_row_that_a_window_brings_again_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reader_setup() as at:
        at.provider.at(A_WINDOW, page(ROW), page(ROW))
        first = await at.window()
        monkeypatch.setitem(DECODERS, "twilio_call", lambda _: pytest.fail("decoded"))
        again = await at.window()
        assert (again.outcome, again.rows, again.received) == (first.outcome, 1, 1)
    assert len(at.broker.taken) == 1


async def test_a_window_leaves_out_rows_that_were_written_lately_and_reports_all_of_them() -> None:
    seen: list[Sequence[bytes]] = []
    other = ROW.replace(b"CA0f", b"CA0e")
    async with reader_setup() as at:
        at.provider.at(A_WINDOW, page(ROW), page(ROW, other))
        assert [(await at.window(on_written=seen.append)).rows for _ in range(2)] == [1, 2]
    bodies = [orjson.loads(value)["body"] for value in at.broker.taken]
    assert bodies == [orjson.loads(ROW), orjson.loads(other)]
    reported = [[orjson.loads(value)["body"]["sid"] for value in values] for values in seen]
    assert reported == [[CALL_SID], [CALL_SID, CALL_SID.replace("CA0f", "CA0e")]]
    assert at.metrics.rows == [("twilio_call", 1), ("twilio_call", 1)]


async def test_reads_on_demand_and_backfills_write_rows_each_time() -> None:
    async with reader_setup() as at:
        at.provider.at(A_WINDOW, page(ROW))
        for _ in range(2):
            await at.read(ONE_CALL)
        await at.window()
        assert len(at.broker.taken) == 3, "what was written on demand is not remembered"
        for _ in range(2):
            await at.window(skip_known=False)
        assert len(at.broker.taken) == 5, "a backfill writes everything again"
        await at.window()
    assert len(at.broker.taken) == 5


async def test_a_read_on_demand_whose_request_has_its_content_writes_nothing() -> None:
    async with reader_setup() as at:
        content = (await at.read(ONE_CALL)).content
        again = request()
        again.reads = [FetchRead("twilio_call", None, content)]
        assert ((await at.request(again)).content, len(at.broker.taken)) == (content, 1)


async def test_an_outage_of_an_account_and_source_is_logged_once_and_its_end_without_private_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="callstream.poller")
    async with reader_setup() as at:
        for answer in (ONE_CALL, HTML, HTML, NOT_YET, HTML, REFUSED, REFUSED, HTML):
            await at.read(answer, 1)
        await at.read(ONE_CALL, CALM_S - 1)
        assert len(caplog.messages) == 2, "one success does not end an outage"
        for _ in range(2):
            await at.read(NOT_YET, CALM_S)
        await at.read(HTML, 1)
    what = "twilio_call of twilio/main"
    rubbish = f"{what} cannot be read (rubbish): not JSON, or truncated (byte 0)"
    assert caplog.messages == [
        rubbish,
        f"{what} cannot be read (auth_error): answered 401: the credentials are not accepted",
        f"{what} is read again",
        rubbish,
    ]
    for private in (ACCOUNT_SID, CALL_SID, "15005550009", *accounts.SECRETS):
        assert private not in caplog.text


async def test_a_resource_that_the_account_does_not_have_is_logged_once_and_answered_as_at_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="callstream.poller")
    gone = replace(CALLS, refused_by=frozenset({404, 410}))
    async with reader_setup() as at:
        at.provider.at(A_CALL, Reply(410))
        for _ in range(3):
            done = await at.reader.read_call(gone, at.account, CALL_SID, None, "terminal")
            assert (done.outcome, done.rows, done.forbidden) == ("not_found", 0, True)
        assert at.provider.paths == [A_CALL]
        at.now_s += 31
        at.provider.at(A_CALL, ONE_CALL)
        assert (await at.reader.read_call(gone, at.account, CALL_SID, None, "terminal")).rows == 1
    assert caplog.messages == [
        "twilio_call of twilio/main cannot be read (not_found): answered 410: the account does not have this"
    ]


async def test_a_call_that_the_provider_does_not_know_closes_its_resource_to_no_other_call() -> None:
    by_call = [resource for resource in RESOURCES.values() if resource.call_url is not None]
    assert len(by_call) >= 6
    async with reader_setup() as at:
        at.provider.otherwise = NOT_YET
        for resource in by_call:
            telnyx = accounts.telnyx(at.provider.url)
            account = at.account if resource.source.startswith("twilio") else telnyx
            for _ in range(2):
                done = await at.reader.read_call(resource, account, CALL_SID, None, "terminal")
                assert (done.outcome, done.forbidden) == ("not_ready", False), resource.source
        assert len(at.provider.paths) == 2 * len(by_call)


async def test_outages_are_logged_per_account_and_source(caplog: pytest.LogCaptureFixture) -> None:
    async with reader_setup() as at:
        at.provider.otherwise = HTML
        other = replace(at.account, id=ACCOUNT_SID[:-1] + "8")
        for account in (at.account, other, at.account, other):
            await at.request(request("twilio_call"), account)
            await at.request(request("twilio_call_summary"), account)
    lines = [line.partition(" cannot ")[0] for line in caplog.messages]
    assert lines == ["twilio_call of twilio/main", "twilio_call_summary of twilio/main"] * 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (HTML, "rubbish (not JSON, or truncated (byte 0))"),
        (NOT_YET, "not_found (answered 404)"),
    ],
)
async def test_an_outage_of_a_window_is_logged_once_however_many_passes_fail(
    answer: Reply, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The second URL of the window fails. The windows log it, and the reader does not."""
    caplog.set_level(logging.INFO, logger="callstream")
    async with fake_provider() as provider, PageClient() as client:
        account = replace(accounts.twilio(provider.url), rate=1e6)
        provider.otherwise = page(ROW)
        assert CALLS.window_urls is not None
        [_, second] = CALLS.window_urls(account, 0, None)
        provider.at(second.removeprefix(provider.url), answer, answer, answer, page(ROW))
        limiters, metrics, store = (
            RateLimiters([account], RecordingMetrics()),
            RecordingMetrics(),
            FakeStore(),
        )
        metrics.window = lambda *_: None  # type: ignore[assignment, method-assign]
        limiters.of(account).own(after_s=0.0)
        writer = PolledWriter(Broker(), polled="polled", dead_letters="dead", metrics=metrics)
        windows = Windows(
            Settings(poll_interval_s=0.001, poll_sources=("twilio_call",)),
            [account],
            RESOURCES,
            store=store,  # type: ignore[arg-type]
            reader=AccountReader(client, limiters, writer, metrics),
            metrics=metrics,
            by="one",
            now_us=lambda: 3_600_000_000,
        )
        await windows.assign({0}, 1)
        await until(lambda: len(store.history) > 1)
        await windows.close()
    assert caplog.messages == [
        f"the window of twilio_call of twilio/main cannot be read to its end: {why}",
        "the window of twilio_call of twilio/main is read again",
    ]
