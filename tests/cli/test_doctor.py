"""`callstream doctor`: its checks, its setup, its exit codes, and that it shows no secret."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.core.timestamps import utc
from stream.gateway.diagnose.refused_requests import Finding, add_finding, findings_file
from tests.cli.checkup.apis import Apis
from tests.cli.doctor_runner import NOBODY, PUBLIC, Doctor, wire
from tests.gateway.signing import (
    ACCOUNT,
    OTHER_TELNYX_KEY,
    STATUS,
    public,
    twilio_form,
)

TOKENS = {"CALLSTREAM_TWILIO_AUTH_TOKEN": "12345", "CALLSTREAM_TWILIO_ACCOUNT_SID": ACCOUNT}
CHECKS = [
    "settings",
    "twilio callbacks",
    "telnyx callbacks",
    "unsigned callbacks",
    "public URL",
    "broker",
    "topics",
    "gateway",
    "twilio API",
    "twilio insights",
    "twilio monitor",
    "telnyx API",
    "clock",
]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path / "data")


# ---------------------------------------------------------------- the checks


def test_without_anything_configured_nothing_has_failed_and_much_is_said(doctor: Doctor) -> None:
    found = doctor("--offline")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert [line[9:28].strip() for line in lines][: len(CHECKS)] == CHECKS
    assert all(line[:9].strip() in ("ok", "warning", "unknown") for line in lines)
    assert not doctor.data_dir.exists()


def test_a_failure_is_an_exit_code_and_json_says_the_same(doctor: Doctor) -> None:
    found = doctor("--offline", "--json", environ={"CALLSTREAM_KAFKA": NOBODY})
    assert found.exit_code == 1
    said = json.loads(found.stdout)
    assert said["ok"] is False
    assert said["refused"] == []
    assert [check["name"] for check in said["checks"]][: len(CHECKS)] == CHECKS
    assert said["checks"][5] == {
        "name": "broker",
        "state": "failed",
        "says": f"nobody listens at {NOBODY} (ConnectionRefusedError: Connection refused (errno 111))",
        "mend": "start the broker, or check CALLSTREAM_KAFKA and the firewall",
    }


def test_settings_that_cannot_be_read_are_all_said(doctor: Doctor) -> None:
    wrong = {"CALLSTREAM_STORE": "redis", "CALLSTREAM_PARTITIONS": "0", "CALLSTREAM_COLOUR": "x"}
    found = doctor(environ=wrong)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert [line.split()[0] for line in found.stderr.splitlines()] == [
        "CALLSTREAM_PARTITIONS=0",
        "CALLSTREAM_STORE=redis",
        "CALLSTREAM_COLOUR",
    ]
    assert len(json.loads(doctor("--json", environ=wrong).stdout)["problems"]) == 3


def test_the_last_refused_requests_are_shown_with_what_mends_them(doctor: Doctor) -> None:
    finding = Finding(
        time=utc(int((time.time() - 300) * 1_000_000)),
        path="/callbacks/twilio",
        provider="twilio",
        reason="bad_signature",
        sentence=f"It fits if the URL begins with https://: set CALLSTREAM_PUBLIC_URL={PUBLIC}.",
        settings=("CALLSTREAM_PUBLIC_URL",),
        times=7,
    )
    add_finding(findings_file(doctor.data_dir), finding)
    last = doctor("--offline").stdout.splitlines()[-1]
    assert last.startswith("warning  refused request ")
    assert last.endswith(f"/callbacks/twilio, bad_signature, 5 min ago: {finding.sentence.removesuffix('.')}")
    (shown,) = json.loads(doctor("--offline", "--json").stdout)["refused"]
    assert shown["times"] == 7
    assert shown["settings"] == ["CALLSTREAM_PUBLIC_URL"]


async def test_real_servers_tell_which_credentials_they_take(doctor: Doctor) -> None:
    async with Apis(users={ACCOUNT: "planted-token"}, telnyx_key="KEYplanted").serving() as apis:
        environ = {
            **apis.environ,
            "CALLSTREAM_TWILIO_ACCOUNT_SID": ACCOUNT,
            "CALLSTREAM_TWILIO_AUTH_TOKEN": "planted-token",
            "CALLSTREAM_TELNYX_API_KEY": "KEYother-planted",
        }
        found = await asyncio.to_thread(doctor, "--json", environ=environ)
    checks = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
    assert found.exit_code == 1
    assert {
        name: checks[name]["state"] for name in ("twilio API", "twilio account AC…0009", "telnyx API key")
    } == {
        "twilio API": "ok",
        "twilio account AC…0009": "ok",
        "telnyx API key": "failed",
    }
    assert "planted" not in found.output


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        (("--request", "-"), b"planted", "the captured request cannot be used: it is not a JSON"),
        (("--request", "/no/such/file"), b"", "No such file"),
        (("--request", "-", "--key", "planted"), b"", "not an Ed25519 public key"),
        (("--request", "-", "--url", "https://me:planted@a.test"), b"", "the URL must be"),
        (("--request", "-", "--remote", "planted"), b"", "--remote is not an IP address"),
        (("--url", PUBLIC), b"", "belong to --request"),
        (("--public-url", PUBLIC), b"", "belongs to --print-setup"),
        (("--print-setup",), b"", "give --public-url"),
        (("--print-setup", "--public-url", "calls.example.com"), b"", "the URL=calls.example.com must be"),
        (("--print-setup", "--request", "-"), b"", "one of them"),
        (("--print-setup", "--offline"), b"", "--offline is for the checks"),
    ],
)
def test_what_cannot_be_used_is_exit_code_2_and_not_shown(
    doctor: Doctor, arguments: tuple[str, ...], given: bytes, says: str
) -> None:
    found = doctor(*arguments, given=given)
    assert found.exit_code == 2
    assert says in found.stderr
    assert "planted" not in found.output


# ---------------------------------------------------------------- what to type at the providers


def test_the_setup_has_the_urls_of_both_providers_and_the_settings(doctor: Doctor) -> None:
    found = doctor("--print-setup", "--public-url", "https://calls.example.com/", environ=TOKENS)
    assert found.exit_code == 0
    for line in (
        "  StatusCallback                 https://calls.example.com/callbacks/twilio#rc=3&rp=all&rt=5000\n",
        "https://calls.example.com/callbacks/twilio/event-streams",
        "  webhook_event_url           https://calls.example.com/callbacks/telnyx\n",
        "  webhook_api_version         2",
        "  CALLSTREAM_PUBLIC_URL             https://calls.example.com  (not set)\n",
        "(or …_FILE); both while rotating  (set)\n",
    ):
        assert line in found.stdout
    assert "12345" not in found.output
    assert "warning" not in found.stdout


def test_the_setup_is_json_too_and_takes_the_public_url_of_the_settings(doctor: Doctor) -> None:
    found = doctor("--print-setup", "--json", environ={"CALLSTREAM_PUBLIC_URL": "http://10.0.0.1"})
    said = json.loads(found.stdout)
    assert said["public_url"] == "http://10.0.0.1"
    assert len(said["concerns"]) == 2
    assert {section["provider"] for section in said["sections"]} == {"twilio", "telnyx"}
    assert {"name": "webhook_event_url", "value": "http://10.0.0.1/callbacks/telnyx", "note": ""} in [
        entry for section in said["sections"] for entry in section["entries"]
    ]


# ---------------------------------------------------------------- secrets

SECRETS = {
    "CALLSTREAM_TWILIO_AUTH_TOKEN": "planted-token-1,'planted-token-2'",
    "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": f"AC{'1' * 32}=planted-sub,planted/../x=planted-sub-2",
    "CALLSTREAM_TWILIO_SHARED_KEYS": "key=planted-shared",
    "CALLSTREAM_TWILIO_API_KEY": "SK1",
    "CALLSTREAM_TWILIO_API_SECRET": "planted-secret",
    "CALLSTREAM_TELNYX_API_KEY": "KEYplanted",
    "CALLSTREAM_API_TOKEN": "planted-api",
    "CALLSTREAM_PRIVACY_KEY": "planted-privacy",
    "CALLSTREAM_TWILIO_ACCOUNT_SID": ACCOUNT,
    "CALLSTREAM_KAFKA": NOBODY,
}


@pytest.mark.parametrize("status", [0, 200, 302, 500])
async def test_no_secret_is_in_any_output_whatever_the_providers_answer(
    doctor: Doctor, tmp_path: Path, status: int
) -> None:
    tokens, request = tmp_path / "tokens", tmp_path / "request"
    tokens.write_text("planted-tried\n")
    parameters = [*STATUS, ("Digits", "planted-digits")]
    request.write_bytes(
        wire(
            twilio_form(
                parameters,
                target="/callbacks/twilio?token=planted-query",
                token="planted-tried",
                headers=[("Authorization", "Bearer planted-header"), ("X-Forwarded-Host", "planted host")],
            )
        )
    )
    outputs = []
    async with Apis(status=status).serving() as apis:
        for arguments in (
            (),
            ("--offline",),
            ("--request", str(request), "--token-file", str(tokens), "--key", public(OTHER_TELNYX_KEY)),
            ("--print-setup", "--public-url", PUBLIC),
        ):
            for json_too in ((), ("--json",)):
                found = await asyncio.to_thread(
                    doctor, *arguments, *json_too, environ={**SECRETS, **apis.environ}
                )
                outputs.append(found.output)
    assert len(outputs) == 8
    assert all(outputs)
    assert not [output for output in outputs if "planted" in output or public(OTHER_TELNYX_KEY) in output]
    assert any("planted-secret" in sent or "KEYplanted" in sent for _, sent in apis.seen)


def test_the_process_itself_shows_no_secret_of_settings_that_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text('twilio_auth_token = ["planted-1"]\ntwilio_shared_keys = "planted-2"\nstore = "x"\n')
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")}
    environ |= {
        "CALLSTREAM_CONFIG": str(file),
        "CALLSTREAM_PUBLIC_URL": "https://me:planted-3@a.test",
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": "planted-4",
        "CALLSTREAM_TWILIO_API_URL": "https://me:planted-5@a.test",
    }
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "doctor"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()] == [
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS",
        "CALLSTREAM_PUBLIC_URL",
        "CALLSTREAM_STORE=x",
        "CALLSTREAM_TWILIO_SHARED_KEYS",
        "CALLSTREAM_TWILIO_API_URL",
    ]
    assert "planted" not in done.stdout + done.stderr
