"""Refused requests: diagnosed rarely and off the loop. Only the finding remains."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from stream.gateway.diagnose.refused_requests import (
    DIAGNOSED,
    KINDS_LIMIT,
    Finding,
    RefusedRequests,
    findings_file,
    read_findings,
)
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import ParsedRequest, WebhookRequest, headers_of
from stream.gateway.receive.telnyx_signature import public_key
from stream.service.metrics.label_values import CALLBACK_ROUTES
from tests.gateway.running_gateway import running_gateway
from tests.gateway.signing import ACCOUNT, HOST, NOW_S, TOKEN, public, telnyx_post, twilio_form
from tests.gateway.verdicts import judged, parsed

CREDENTIALS = GatewayCredentials(twilio_tokens={ACCOUNT: (TOKEN,)}, telnyx_keys=(public_key(public()),))
NUMBER = "+15005550006"


def unsigned() -> WebhookRequest:
    request = twilio_form()
    return replace(request, headers=headers_of(p for p in request.headers.items() if "Signature" not in p[0]))


def refused(request: WebhookRequest) -> tuple[ParsedRequest, str, str, float]:
    reason = judged(request, CREDENTIALS)
    assert isinstance(reason, str)
    return parsed(request), parsed(request).path, reason, NOW_S


@asynccontextmanager
async def running(queue: RefusedRequests) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()


async def until(is_so: Callable[[], bool], limit_s: float = 10.0) -> None:
    limit = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < limit, "it never was so"
        await asyncio.sleep(0.01)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_requests_signed_in_wrong_ways_become_a_sentence_with_the_setting_in_log_and_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    other_account = [("AccountSid", "AC0f000000000000000000000000000010")]
    requests = {
        "http": twilio_form(secure=False, remote="10.0.0.1"),
        "token": twilio_form(token="not the token"),
        "account": twilio_form(other_account, target="/callbacks/twilio?to=" + NUMBER),
        "unsigned": replace(telnyx_post(b"{}"), headers=headers_of()),
        "late": telnyx_post(b"{}", timestamp=str(int(NOW_S) - 3600)),
    }
    async with running(queue):
        for request in requests.values():  # two of them are of one kind, so one after the other
            before = len(read_findings(findings_file(tmp_path)))
            queue.offer(*refused(request))
            await until(lambda before=before: len(read_findings(findings_file(tmp_path))) > before)  # type: ignore[misc]
        await until(lambda: len(warnings(caplog)) == len(requests))
    found = read_findings(findings_file(tmp_path))
    assert found[0] == Finding(
        time="2026-01-01T00:00:00.000000Z",
        path="/callbacks/twilio",
        provider="twilio",
        reason="bad_signature",
        sentence="Twilio's signature fits if the URL begins with https://: "
        f"set CALLSTREAM_PUBLIC_URL=https://{HOST}.",
        settings=("CALLSTREAM_PUBLIC_URL",),
    )
    assert [(one.provider, one.reason, one.settings) for one in found[1:]] == [
        ("twilio", "bad_signature", ("CALLSTREAM_TWILIO_AUTH_TOKEN", "CALLSTREAM_PUBLIC_URL")),
        ("twilio", "unknown_account", ("CALLSTREAM_TWILIO_SUBACCOUNTS",)),
        ("telnyx", "missing_signature", ()),
        ("telnyx", "stale_timestamp", ("CALLSTREAM_TELNYX_TOLERANCE_S",)),
    ]
    assert warnings(caplog)[0] == (
        f"A request of twilio at /callbacks/twilio was refused (bad_signature): {found[0].sentence}"
    )
    assert all(one.sentence in line for one, line in zip(found, warnings(caplog), strict=True))
    shown = caplog.text + findings_file(tmp_path).read_text()
    for planted in (TOKEN, "not the token", NUMBER, "15005550006", "CallSid", "zo", "203.0.113.9", "token-1"):
        assert planted not in shown


async def test_a_flood_of_one_kind_costs_one_diagnosis_and_does_not_hide_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0.05)
    flood, wanted = refused(unsigned()), refused(twilio_form(token="x"))
    for _ in range(2000):
        queue.offer(*flood)
    queue.offer(*wanted)
    async with running(queue):
        await until(lambda: len(warnings(caplog)) == 2)
    assert [one.reason for one in read_findings(findings_file(tmp_path))] == [
        "missing_signature",
        "bad_signature",
    ]
    assert warnings(caplog)[0].endswith(" 2000 more were refused since the last such line.")


async def test_what_goes_on_is_said_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    request, route, reason, now_s = refused(twilio_form(token="x"))
    async with running(queue):
        for times in (1, 2, 3):
            queue.offer(request, route, reason, now_s + times)
            await until(
                lambda times=times: [o.times for o in read_findings(findings_file(tmp_path))] == [times]
            )  # type: ignore[misc]
        assert len(warnings(caplog)) == 1
        queue.offer(request, route, reason, now_s + 301)
        await until(lambda: len(warnings(caplog)) == 2)
        queue.offer(request, route, reason, now_s - 7200)  # the clock was set back
        await until(lambda: len(warnings(caplog)) == 3)


async def test_memory_is_bounded_whatever_the_paths_and_the_newest_of_a_kind_is_kept(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path)
    _, _, reason, now_s = refused(twilio_form(token="x"))
    for number in range(1000):
        queue.offer(parsed(twilio_form()), f"/{number}", reason, now_s)
    newest = parsed(twilio_form(target="/callbacks/%74wilio"))
    queue.offer(newest, "/0", reason, now_s + 1)
    gc.collect()
    held = [one for one in gc.get_referrers(newest) if type(one).__name__ == "_Waiting"]
    assert len(held) == 1
    assert len([*queue._waiting]) == KINDS_LIMIT


def test_no_flood_of_other_kinds_hides_a_kind(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path)
    kinds = [(reason, route) for reason in sorted(DIAGNOSED) for route in CALLBACK_ROUTES]
    for reason, route in kinds:
        queue.offer(parsed(twilio_form()), route, reason, NOW_S)
    assert [*queue._waiting] == kinds


async def test_reasons_that_no_setting_mends_are_not_looked_at(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    async with running(queue):
        for reason in ("malformed", "too_large", "unsupported_media_type"):
            queue.offer(parsed(twilio_form()), "/callbacks/twilio", reason, NOW_S)
        await asyncio.sleep(0.05)
    assert read_findings(findings_file(tmp_path)) == []


async def test_at_most_one_diagnosis_is_made_in_a_while(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=30)
    async with running(queue):
        queue.offer(*refused(twilio_form(token="x")))
        queue.offer(*refused(unsigned()))
        await until(lambda: len(read_findings(findings_file(tmp_path))) == 1)
        await asyncio.sleep(0.1)
        assert len(read_findings(findings_file(tmp_path))) == 1


async def test_the_loop_goes_on_during_the_dearest_diagnosis(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path)
    many = [("AccountSid", ACCOUNT), *((f"Name{n}", "value " * 9) for n in range(60))]
    request = twilio_form(
        many, target="/callbacks/twilio?" + "&".join(f"q{n}={n}" for n in range(40)), token="x"
    )
    turns = 0
    async with running(queue):
        queue.offer(*refused(request))
        while not read_findings(findings_file(tmp_path)):
            await asyncio.sleep(0.001)
            turns += 1
    assert turns >= 5


async def test_nothing_of_a_request_is_held_after_its_diagnosis(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=30)
    async with running(queue):
        queue.offer(*refused(twilio_form(target="/held", token="x")))
        await until(lambda: bool(read_findings(findings_file(tmp_path))))
        await asyncio.sleep(0.05)
        gc.collect()
        held = [one for one in gc.get_objects() if isinstance(one, WebhookRequest) and one.target == "/held"]
    assert held == []


async def test_a_directory_that_cannot_be_written_is_said_once_and_the_sentence_still_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gateway").write_text("a file where a directory should be")
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    async with running(queue):
        queue.offer(*refused(twilio_form(token="x")))
        queue.offer(*refused(unsigned()))
        await until(lambda: len(warnings(caplog)) == 3)
    assert [line for line in warnings(caplog) if "is not kept" in line] == [
        f"What refused requests lack is not kept: the data directory cannot be used: {tmp_path / 'gateway'}: "
        "a file is in the place of a directory; correct it, or set CALLSTREAM_DATA_DIR to another directory"
    ]


async def test_a_request_on_which_the_doctor_itself_fails_stops_nothing_and_is_not_said_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    _, _, reason, now_s = refused(twilio_form(token="x"))
    broken = replace(parsed(twilio_form(token="x")), request=None)  # type: ignore[arg-type]
    async with running(queue):
        for number in range(3):
            queue.offer(broken, f"/broken/{number}", reason, now_s + number)
        queue.offer(*refused(twilio_form(token="x")))
        await until(lambda: len(read_findings(findings_file(tmp_path))) == 1)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["The signature doctor failed on a refused request: AttributeError"]


async def test_however_a_path_is_spelled_it_is_one_finding_of_its_route(tmp_path: Path) -> None:
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    spellings = ["/callbacks/twilio", "/callbacks/%74wilio", "/callbacks/t%77ilio", "/%63allbacks/twilio?x=1"]
    async with running_gateway(CREDENTIALS, refused=queue.offer) as gateway:
        for target in spellings:
            assert (await gateway.send(twilio_form(target=target, token="x"))).status == 403
    assert [*queue._waiting] == [("bad_signature", "/callbacks/twilio")]
    async with running(queue):
        await until(
            lambda: [one.path for one in read_findings(findings_file(tmp_path))] == ["/callbacks/twilio"]
        )


async def test_a_damaged_file_keeps_no_diagnosis_from_being_kept(tmp_path: Path) -> None:
    """Its other lines stay. It need not be text any more."""
    queue = RefusedRequests(CREDENTIALS, tmp_path, every_s=0)
    async with running(queue):
        queue.offer(*refused(twilio_form(token="x")))
        await until(lambda: len(read_findings(findings_file(tmp_path))) == 1)
        with findings_file(tmp_path).open("ab") as opened:
            opened.write(b'{"time": "\xff"}\n' + b"[" * 10_000 + b"\n")
        queue.offer(*refused(unsigned()))
        await until(lambda: len(read_findings(findings_file(tmp_path))) == 2)
