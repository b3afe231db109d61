"""What must not come out is found wherever it does, and told without being repeated."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.simulator.calls.options import ALL_SERVED_SOURCES
from stream.simulator.calls.planted import ONE_IN, Planted, planted_for
from stream.simulator.check.leaks import LeakSearch, MetricsAndLogs, in_record, in_text, kinds
from stream.simulator.check.report import CheckReport
from tests.simulator.fake_poller import planted_records


def one() -> Planted:
    return next(of for n in range(1000) if (of := planted_for(f"twilio:CA{n}")) is not None)


OF = one()
SPELLED = (
    *("+14155550142", "14155550142", "4155550142", "+1 (415) 555-0142", "415.555.0142", "555-0142"),
    *("0014155550142", "+1\u00a0415\u00a0555\u00a00142", "%2B14155550142", "%2b1%20415%20555%200142"),
    *("%252B14155550142", "+442079460958", "020 7946 0958", "+441632960123", "01632 960123"),
)
CLEAN = (
    *(
        "+14*******42",
        "+44********58",
        "+1*** 01*",
        "h:4155550142abcdef",
        "CA41555501424155550142415555014241",
    ),
    *(
        "4a4155550142",
        "1760415555014242",
        "2026-11-28T10:00:00.555014Z",
        "0.5550142",
        "1.5550142",
        "1704155550142",
    ),
    *("xq9**********2f", "client:age****2", "sip:d****@pbx.example.test", "9090912345678901234", "***"),
)


def leaks(
    value: Any = None,
    key: bytes | None = None,
    headers: Iterable[tuple[str, bytes | None]] = (),
    *,
    only_secrets: bool = False,
) -> list[str]:
    encoded = None if value is None else orjson.dumps(value)
    return list(in_record(key, encoded, headers, only_secrets=only_secrets))


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_number_is_found_in_every_spelling_alone_and_in_a_text(spelled: str) -> None:
    for text in (spelled, f"no route to {spelled}", f"KeyError: '{spelled}'", f"https://h/{spelled}/x?a=b"):
        assert leaks({"a": text}) == ["value a: a number"], text


@pytest.mark.parametrize("clean", CLEAN)
def test_what_is_masked_and_what_only_looks_like_it_is_let_through(clean: str) -> None:
    assert leaks({"a": clean, "at": clean}, key=clean.encode()) == []


def test_what_is_planted_is_of_its_kind_in_every_spelling() -> None:
    for number in (OF.number, OF.local, OF.spaced):
        assert kinds(number.encode(), only_secrets=False) == ["number"]
    for name in (OF.name, OF.uri, OF.name.upper(), "client:agent_12", "sip:desk3@pbx.example.test"):
        assert kinds(name.encode(), only_secrets=False) == ["name"]
    for secret in (OF.secret, OF.token, OF.state, OF.digits):
        assert kinds(secret.encode(), only_secrets=False) == ["secret"]
    assert kinds(OF.url.encode(), only_secrets=False) == ["secret", "number"]


def test_a_leak_is_told_by_its_place_and_not_repeated() -> None:
    assert leaks({"a": {"b": [{"c": "x"}, {"c": OF.number}]}}) == ["value a.b[].c: a number"]
    assert leaks({OF.number: 1}) == ["value (a name in it): a number"]
    assert leaks({"a": {OF.number: {"b": OF.name}}}) == [
        "value a (a name in it): a number",
        "value a.*.b: a name",
    ]
    assert leaks([1, OF.secret]) == ["value []: a secret"]
    assert leaks({"a": 14155550142}) == ["value a: a number"]


def test_a_key_and_a_header_are_looked_at() -> None:
    assert leaks(key=b"twilio:endpoint:AC1:https://h/%2B14155550142") == ["key: a number"]
    assert leaks(headers=[("ce_subject", OF.url.encode())]) == [
        "header ce_subject: a secret",
        "header ce_subject: a number",
    ]
    assert leaks(headers=[(OF.number, None)]) == ["header *: a number"]


def test_a_tombstone_and_a_value_that_is_not_json_are_looked_at() -> None:
    assert leaks(key=b"k") == []
    assert list(in_record(None, b"{" + OF.number.encode(), (), only_secrets=False)) == ["value: a number"]


def test_where_all_but_secrets_may_leave_only_secrets_are_found() -> None:
    body = {"number": OF.number, "name": OF.name, "secret": OF.secret}
    assert leaks(body, only_secrets=True) == ["value secret: a secret"]


def test_lines_of_a_log_and_of_an_exposition_are_told_by_their_number() -> None:
    text = f'fine\ncallstream_x{{endpoint="{OF.url}"}} 1\n'.encode()
    assert list(in_text(text, only_secrets=False)) == [
        "line 2: a secret",
        "line 2: a number",
    ]
    assert not list(in_text(b"fine\n", only_secrets=False))


def test_a_search_counts_what_has_a_leak_and_names_each_place_once() -> None:
    search = LeakSearch()
    for offset in range(3):
        search.record("calls.events.v1", f"-2@{offset}", b"k", orjson.dumps({"a": OF.number}), ())
    search.record("calls.alerts.v1", "-0@7", OF.url.encode(), None, [("ce_subject", OF.number.encode())])
    search.record("calls.ended.v1", "-1@1", b"k", b'{"a": "+14*******42"}', [("x", None)])
    search.text("the worker's metrics", b"callstream_up 1\n")
    assert search.found == 4
    assert search.records == 5
    assert search.texts == ["the worker's metrics"]
    assert search.examples == [
        "calls.events.v1-2@0 value a: a number",
        "calls.alerts.v1-0@7 key: a secret",
        "calls.alerts.v1-0@7 key: a number",
        "calls.alerts.v1-0@7 header ce_subject: a number",
    ]


def test_a_search_finds_what_is_in_a_key_alone_or_in_a_header_alone() -> None:
    search = LeakSearch()
    search.record("calls.ended.v1", "-0@1", OF.number.encode(), b"{}", ())
    search.record("calls.ended.v1", "-0@2", b"k", b"{}", [("ce_subject", OF.number.encode())])
    search.record("calls.ended.v1", "-0@3", b"k", b"{}", [(OF.number, b"1")])
    assert search.examples == [
        "calls.ended.v1-0@1 key: a number",
        "calls.ended.v1-0@2 header ce_subject: a number",
        "calls.ended.v1-0@3 header *: a number",
    ]


def test_a_leak_is_a_difference_of_the_report() -> None:
    report, search = CheckReport(), LeakSearch()
    search.record("calls.events.v1", "-2@0", b"k", orjson.dumps({"a": OF.number}), ())
    report.searched(search)
    assert not report.ok
    assert report.as_json()["differences"]["leak"] == 1
    assert "  calls.events.v1-2@0 value a: a number" in report.lines()
    assert OF.number not in "\n".join(report.lines())


async def test_expositions_and_logs_are_searched_from_where_the_run_began(tmp_path: Path) -> None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=f'callstream_x{{endpoint="{OF.number}"}} 1\n')

    log = tmp_path / "worker.log"
    log.write_text(f"of another run: {OF.number}\n")
    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        at = {"worker": str(server.make_url("/metrics")), "poller": "http://127.0.0.1:1/metrics"}
        beside = MetricsAndLogs(at, [log, tmp_path / "none.log"])
        with log.open("a") as more:
            more.write(f"fine\nKeyError: '{OF.number}'\n")
        search = LeakSearch()
        await beside.search_with(search)
    assert search.texts == ["the worker's metrics", "worker.log", "none.log"]
    assert search.examples == ["the worker's metrics line 1: a number", "worker.log line 2: a number"]


async def test_a_log_is_searched_to_its_end_however_long_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.simulator.check.leaks.AT_ONCE_BYTES", 16)
    log, search = tmp_path / "worker.log", LeakSearch()
    log.write_text("")
    beside = MetricsAndLogs({}, [log])
    log.write_text("nothing is in this line\n" * 20 + f"but a {OF.number}\nnor here\n")
    await beside.search_with(search)
    assert search.texts == ["worker.log"]
    assert len(search.examples) == 1


def test_one_call_in_sixteen_is_planted_and_the_same_ones_every_time() -> None:
    keys = [f"telnyx:{n}" for n in range(8000)]
    planted = [key for key in keys if planted_for(key) is not None]
    assert len(planted) == pytest.approx(len(keys) / ONE_IN, rel=0.2)
    planted_for.cache_clear()
    assert planted == [key for key in keys if planted_for(key) is not None]


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """By source, the kinds that are found in what its deliveries say."""
    by_source: dict[str, set[str]] = {}
    for record in planted_records():
        envelope = orjson.loads(record.value)
        said = orjson.dumps(envelope["body"])
        by_source.setdefault(envelope["source"], set()).update(kinds(said, only_secrets=False))
    return by_source


@pytest.mark.parametrize("source", ALL_SERVED_SOURCES)
def test_every_source_has_numbers_names_and_secrets_planted(found: dict[str, set[str]], source: str) -> None:
    wanted = {"number", "name", "secret"}
    if source in {"twilio_call", "twilio_call_summary"}:
        # No secret was seen in these.
        wanted -= {"secret"}
    if source == "twilio_notification":
        # In a list it has neither the request's parameters nor the answer.
        wanted -= {"name"}
    assert found[source] == wanted
