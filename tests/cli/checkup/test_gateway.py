"""The gateway that runs here, and its findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.checkup.check import Check
from stream.cli.checkup.gateway import gateway, lately, refused
from stream.gateway.diagnose.refused_requests import Finding, add_finding, findings_file
from stream.service import data_dir
from stream.service.http.health import serve
from stream.service.settings import Settings
from tests.cli.checkup.apis import Apis
from tests.gateway.signing import NOW_S

FINDING = Finding(
    time="2026-01-01T00:00:00.000000Z",
    path="/callbacks/twilio",
    provider="twilio",
    reason="bad_signature",
    sentence="Twilio's signature fits if the URL begins with https://: set CALLSTREAM_PUBLIC_URL=https://a.test.",
    settings=("CALLSTREAM_PUBLIC_URL",),
)


@pytest.mark.parametrize(
    ("ready", "state", "says"),
    [
        ((True, []), "ok", "is ready"),
        ((True, ["unsigned requests are accepted"]), "ok", "is ready: unsigned requests are accepted"),
        (
            (False, ["the broker\n is \x1b[31msilent", "+15005550006"]),
            "failed",
            "not ready: the broker? is ?[31m",
        ),
    ],
)
async def test_a_gateway_that_runs_says_whether_it_is_ready(
    ready: tuple[bool, list[str]], state: str, says: str
) -> None:
    async with serve(
        "127.0.0.1:0", metrics=lambda _: (b"", "text/plain"), live=lambda: (True, []), ready=lambda: ready
    ) as url:
        check = await gateway(Settings(gateway_health_listen=url.removeprefix("http://")))
    assert check.state == state
    assert says in check.says
    assert "15005550006" not in check.says
    assert "\x1b" not in check.says


async def test_a_gateway_that_listens_everywhere_is_asked_here() -> None:
    async with serve(
        "127.0.0.1:0", metrics=lambda _: (b"", ""), live=lambda: (True, []), ready=lambda: (True, [])
    ) as url:
        port = url.rpartition(":")[2]
        check = await gateway(Settings(gateway_health_listen=f"0.0.0.0:{port}"))
    assert check == Check("gateway", "ok", f"0.0.0.0:{port} is ready")


async def test_no_gateway_and_another_program_in_its_place() -> None:
    nobody = await gateway(Settings(gateway_health_listen="127.0.0.1:1"))
    assert nobody == Check(
        "gateway",
        "unknown",
        "none answers at 127.0.0.1:1: connection refused",
        "`callstream gateway` starts one",
    )
    async with Apis().serving() as other:
        check = await gateway(Settings(gateway_health_listen=f"127.0.0.1:{other.port}"))
    assert (check.state, check.says) == (
        "warning",
        f"something else answers at 127.0.0.1:{other.port} (404)",
    )


def test_findings_of_the_last_day_are_shown_the_newest_first(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert lately(settings, NOW_S) == []
    old = replace_time(FINDING, "2025-12-30T00:00:00.000000Z")
    newer = Finding(
        **{**as_dict(FINDING), "path": "/callbacks/telnyx", "sentence": "Another.", "reason": "x\x1b"}
    )
    for one in (old, FINDING, newer):
        add_finding(findings_file(tmp_path), one)
    found = lately(settings, NOW_S + 3600 * 3)
    assert found is not None
    assert [one.sentence for one in found] == ["Another.", FINDING.sentence]
    assert refused(found, NOW_S + 3600 * 3) == [
        Check("refused request", "warning", "/callbacks/telnyx, x?, 3 h ago: Another"),
        Check(
            "refused request",
            "warning",
            f"/callbacks/twilio, bad_signature, 3 h ago: {FINDING.sentence.removesuffix('.')}",
        ),
    ]


def test_none_many_and_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused([], NOW_S)[0].state == "ok"
    many = refused([FINDING] * 8, NOW_S + 60)
    assert len(many) == 6
    assert many[-1] == Check("refused requests", "warning", "and 3 more in the last day")
    findings_file(tmp_path).mkdir(parents=True)
    found = lately(Settings(data_dir=tmp_path), NOW_S)
    assert found is None
    assert refused(found, NOW_S)[0].state == "unknown"


def as_dict(one: Finding) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def replace_time(one: Finding, time: str) -> Finding:
    return Finding(**{**as_dict(one), "time": time})  # type: ignore[arg-type]


@pytest.mark.parametrize(("user", "found"), [(4711, [FINDING]), (4712, None)])
def test_root_is_shown_what_the_gateway_of_a_unit_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, found: list[Finding] | None
) -> None:
    """systemd runs it as a user of its own."""
    add_finding(findings_file(tmp_path), FINDING)
    monkeypatch.setattr(data_dir, "ROOT", 4711)
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: user)
    assert lately(Settings(data_dir=tmp_path), NOW_S) == found
