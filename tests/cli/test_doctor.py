"""`callstream doctor`: what it says, its exit codes, and that no secret ever leaves it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.core.timestamps import utc
from stream.gateway.diagnose.refused_requests import Finding, add_finding, findings_file
from stream.gateway.receive.request import WebhookRequest, wire_bytes
from tests.cli.checkup.apis import Apis
from tests.gateway.signing import (
    ACCOUNT,
    HOST,
    NOW_S,
    OTHER_TELNYX_KEY,
    STATUS,
    public,
    telnyx_post,
    twilio_form,
)

NOBODY = "127.0.0.1:1"
PUBLIC = f"https://{HOST}"
NUMBER = "15005550006"
"""Of the requests of these tests; it may stand in no output."""

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
    "telnyx API",
    "clock",
]


@dataclass
class Doctor:
    """The command with an environment of its own."""

    data_dir: Path

    def __call__(
        self, *arguments: str, environ: Mapping[str, str] | None = None, given: bytes = b""
    ) -> Result:
        clean = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
        own = {"CALLSTREAM_DATA_DIR": str(self.data_dir), "CALLSTREAM_GATEWAY_HEALTH_LISTEN": NOBODY}
        found = CliRunner().invoke(
            main, ["doctor", *arguments], env={**clean, **own, **(environ or {})}, input=given
        )
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert NUMBER not in found.output
        return found


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path / "data")


def wire(request: WebhookRequest) -> bytes:
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        *(f"{n}: {v}" for n, v in request.headers.items()),
    ]
    length = f"Content-Length: {len(request.body)}"
    return b"\r\n".join([*map(wire_bytes, lines), length.encode(), b"", request.body])


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
        "says": f"no broker answers at {NOBODY} (KafkaConnectionError)",
        "mend": "start it, or see to CALLSTREAM_KAFKA",
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


# ---------------------------------------------------------------- a captured request

NO_AGE = "its age was not looked at, for the capture does not say when it was received (`received_at`)"
TOKENS = {"CALLSTREAM_TWILIO_AUTH_TOKEN": "12345", "CALLSTREAM_TWILIO_ACCOUNT_SID": ACCOUNT}


def test_a_captured_request_gets_one_sentence_and_the_setting(doctor: Doctor, tmp_path: Path) -> None:
    file = tmp_path / "request"
    file.write_bytes(wire(twilio_form()))
    found = doctor("--request", str(file), environ=TOKENS)
    assert found.exit_code == 1
    assert found.stdout == (
        f"Twilio's signature fits if the URL begins with https://: set CALLSTREAM_PUBLIC_URL={PUBLIC}.\n"
        f"setting: CALLSTREAM_PUBLIC_URL\nnote: {NO_AGE}\n"
    )
    mended = doctor("--request", str(file), environ={**TOKENS, "CALLSTREAM_PUBLIC_URL": PUBLIC})
    fits = f"The signature fits: the gateway takes this request.\nnote: {NO_AGE}\n"
    assert (mended.exit_code, mended.stdout) == (0, fits)


def test_it_comes_from_standard_input_and_as_json_too(doctor: Doctor) -> None:
    request = twilio_form()
    given = {
        "url": f"http://{HOST}/callbacks/twilio",
        "headers": dict(request.headers),
        "body": request.body.decode(),
    }
    found = doctor("--request", "-", "--json", environ=TOKENS, given=json.dumps(given).encode())
    assert json.loads(found.stdout) == {
        "provider": "twilio",
        "fits": False,
        "sentence": "Twilio's signature fits if the URL begins with https://: "
        f"set CALLSTREAM_PUBLIC_URL={PUBLIC}.",
        "settings": ["CALLSTREAM_PUBLIC_URL"],
        "notes": [NO_AGE],
    }


def test_an_old_request_that_was_captured_with_its_time_is_said_to_be_old(doctor: Doctor) -> None:
    request = twilio_form()
    given = {
        "url": f"{PUBLIC}/callbacks/twilio",
        "headers": dict(request.headers),
        "body": request.body.decode(),
        "received_at": "2026-03-04T10:00:55Z",
    }
    found = doctor(
        "--request",
        "-",
        environ={**TOKENS, "CALLSTREAM_PUBLIC_URL": PUBLIC},
        given=json.dumps(given).encode(),
    )
    assert found.exit_code == 1
    assert found.stdout == (
        "The signature fits, but its Timestamp is 172800 s before our clock's time, more than "
        "CALLSTREAM_TWILIO_MAX_AGE_S allows: an old request was sent again, or our clock runs ahead.\n"
        "setting: CALLSTREAM_TWILIO_MAX_AGE_S\n"
    )


def test_a_url_and_tokens_to_try_are_tried_and_not_shown(doctor: Doctor, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"planted-wrong\n\n{ACCOUNT}=planted-right\n")
    raw = wire(twilio_form(token="planted-right", host="inner.test"))
    arguments = ("--request", "-", "--token-file", str(tokens), "--url", PUBLIC)
    found = doctor(*arguments, environ=TOKENS, given=raw)
    assert found.exit_code == 1
    assert f"the host is {HOST}" in found.stdout
    assert "the token is the one that was tried here" in found.stdout
    assert "setting: CALLSTREAM_TWILIO_ACCOUNT_TOKENS" in found.stdout
    assert "planted" not in found.output


def test_a_proxys_address_is_believed_as_the_settings_say(doctor: Doctor) -> None:
    headers = [("X-Forwarded-Host", HOST), ("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.1")]
    raw = wire(twilio_form(host="inner.test", headers=headers))
    environ = {**TOKENS, "CALLSTREAM_TRUSTED_PROXIES": "10.0.0.0/8"}
    assert doctor("--request", "-", "--remote", "10.0.0.1", environ=environ, given=raw).exit_code == 0
    assert doctor("--request", "-", "--remote", "203.0.113.9", environ=environ, given=raw).exit_code == 1


def test_a_captured_request_of_telnyx_is_not_stale_for_having_been_kept(doctor: Doctor) -> None:
    environ = {"CALLSTREAM_TELNYX_PUBLIC_KEY": public()}
    request = telnyx_post(b'{"data":{}}')
    kept = doctor("--request", "-", environ=environ, given=wire(request))
    assert kept.exit_code == 0
    assert "note: its age was not looked at" in kept.stdout

    given = {
        "url": "/callbacks/telnyx",
        "headers": dict(request.headers),
        "body": request.body.decode(),
        "received_at": NOW_S + 3600,
    }
    late = doctor("--request", "-", environ=environ, given=json.dumps(given).encode())
    assert late.exit_code == 1
    assert "signed 3600 s ago" in late.stdout

    other = wire(telnyx_post(b'{"data":{}}', key=OTHER_TELNYX_KEY))
    tried = doctor("--request", "-", "--key", public(OTHER_TELNYX_KEY), environ=environ, given=other)
    assert "add it to CALLSTREAM_TELNYX_PUBLIC_KEY" in tried.stdout


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


def test_a_public_key_that_is_none_is_a_setting_that_cannot_be_read(doctor: Doctor) -> None:
    environ = {"CALLSTREAM_TELNYX_PUBLIC_KEY": "A" * 59 + "="}
    found = doctor("--request", "-", environ=environ, given=wire(twilio_form()))
    assert found.exit_code == 2
    assert found.stderr.startswith("CALLSTREAM_TELNYX_PUBLIC_KEY is ")


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
        "CALLSTREAM_STORE=x",
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS",
        "CALLSTREAM_PUBLIC_URL",
        "CALLSTREAM_TWILIO_SHARED_KEYS",
        "CALLSTREAM_TWILIO_API_URL",
    ]
    assert "planted" not in done.stdout + done.stderr
