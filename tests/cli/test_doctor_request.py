"""`callstream doctor --request`: why a captured request is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.doctor_runner import PUBLIC, Doctor, wire
from tests.gateway.signing import ACCOUNT, HOST, NOW_S, OTHER_TELNYX_KEY, public, telnyx_post, twilio_form


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path / "data")


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


def test_a_form_with_more_parameters_than_any_provider_sends_is_named_as_such(doctor: Doctor) -> None:
    captured = wire(replace(twilio_form(), target="/callbacks/twilio?next=/telnyx/", body=b"&" * 1000))
    found = doctor("--request", "-", "--json", environ=TOKENS, given=captured)
    assert json.loads(found.stdout) == {
        "provider": "twilio",
        "fits": None,
        "sentence": "The form has more parameters than a provider sends.",
        "settings": [],
        "notes": [],
    }


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


def test_a_public_key_that_is_none_is_a_setting_that_cannot_be_read(doctor: Doctor) -> None:
    environ = {"CALLSTREAM_TELNYX_PUBLIC_KEY": "A" * 59 + "="}
    found = doctor("--request", "-", environ=environ, given=wire(twilio_form()))
    assert found.exit_code == 2
    assert found.stderr.startswith("CALLSTREAM_TELNYX_PUBLIC_KEY is ")
