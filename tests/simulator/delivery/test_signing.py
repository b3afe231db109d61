"""The simulator's secrets: enough to sign, matched with a gateway's, and shown to nobody."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest

from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import WebhookRequest, headers_of
from stream.service.settings import SettingsError, load
from stream.simulator.accounts import new_private_key, public_key_of, signing_keys, simulated_environment
from stream.simulator.calls.options import Options
from stream.simulator.delivery.webhooks import (
    OutgoingWebhook,
    gateway_address,
    telnyx_signature,
    telnyx_webhook,
    twilio_signature,
    twilio_webhook,
)
from stream.simulator.traffic import Traffic
from tests.gateway.signing import TELNYX_KEY, public
from tests.gateway.signing import telnyx as documented_telnyx
from tests.gateway.signing import twilio as documented_twilio
from tests.gateway.verdicts import landed, verified
from tests.simulator.fake_gateway import PRIVATE, TOKEN

OPTIONS = Options(calls=30, telnyx=0.4)
NOW_S = time.time()


def requests(environ: dict[str, str]) -> list[WebhookRequest]:
    """All first attempts of a run with these settings, as a gateway receives them."""
    settings = load(environ)
    signing = signing_keys(settings, OPTIONS)
    to = gateway_address("http://127.0.0.1:8080", settings.public_url)
    found: list[OutgoingWebhook] = []
    for delivery in Traffic(replace(OPTIONS, twilio_account=signing.twilio_account)).outgoing():
        if delivery.report.source == "twilio_status_callback":
            found.append(twilio_webhook(delivery, to, signing))
        elif delivery.report.source == "telnyx_webhook":
            found.append(telnyx_webhook(delivery, to, signing, failed_before=0, now_s=NOW_S))
    return [
        WebhookRequest(
            method="POST",
            target=webhook.url.removeprefix(to.base),
            headers=headers_of([("Host", "127.0.0.1:8080"), *webhook.headers.items()]),
            body=webhook.body,
            remote="127.0.0.1",
        )
        for webhook in found
    ]


def accounts(environ: dict[str, str], gateway: dict[str, str] | None = None) -> set[str | None]:
    """The accounts of a run's requests, each of which the gateway takes and lands."""
    # What is simulated here begins in 1970.
    whom = replace(
        GatewayCredentials.from_settings(load(environ if gateway is None else gateway)),
        twilio_max_age_s=math.inf,
    )
    found = set()
    for request in requests(environ):
        assert len(landed(request, whom, NOW_S)) == 1
        found.add(verified(request, whom, NOW_S).account)
    return found


def test_a_local_stack_believes_its_own_simulator_and_whom_it_believed_before() -> None:
    before = {
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": "AC1=first",
        "CALLSTREAM_TELNYX_PUBLIC_KEY": public(),
        "CALLSTREAM_PUBLIC_URL": "https://hooks.example.test",
        "HOME": "/home/caller",
    }
    environ = simulated_environment(load(before), before)
    settings = load(environ)
    assert environ["HOME"] == "/home/caller"
    assert settings.twilio_account_tokens[0] == ("AC1", "first")
    assert settings.telnyx_public_key[0] == public()
    assert accounts(environ) == {settings.simulate_twilio_account_token[0][0], None}
    assert simulated_environment(load(before), before) != environ
    assert (
        simulated_environment(settings, environ)["CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY"]
        == (environ["CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY"])
    )


def test_a_local_stack_replaces_a_secret_that_came_as_a_file(tmp_path: object) -> None:
    file = f"{tmp_path}/tokens"
    with open(file, "w") as tokens:
        tokens.write("AC1=first")
    before = {"CALLSTREAM_TWILIO_ACCOUNT_TOKENS_FILE": file}
    settings = load(simulated_environment(load(before), before))
    assert settings.twilio_account_tokens[0] == ("AC1", "first")
    assert len(settings.twilio_account_tokens) == 2


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"CALLSTREAM_TWILIO_AUTH_TOKEN": f"{TOKEN},older", "CALLSTREAM_TWILIO_ACCOUNT_SID": "AC7"}, "AC7"),
        ({"CALLSTREAM_TWILIO_ACCOUNT_TOKENS": f"AC8={TOKEN},AC9=other"}, "AC8"),
        ({"CALLSTREAM_TWILIO_AUTH_TOKEN": TOKEN}, None),
    ],
    ids=["account and token", "account's token", "any account's token"],
)
def test_a_gateways_own_secrets_serve_where_the_simulator_has_none(
    own: dict[str, str], expected: str | None
) -> None:
    environ = {**own, "CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY": PRIVATE}
    found = accounts(environ, {**environ, "CALLSTREAM_TELNYX_PUBLIC_KEY": public_key_of(PRIVATE)})
    assert len(found) == 2
    assert expected is None or expected in found


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (Options(telnyx=0.0), "CALLSTREAM_TWILIO_AUTH_TOKEN"),
        (Options(telnyx=1.0), "CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY"),
    ],
    ids=["twilio", "telnyx"],
)
def test_a_secret_that_is_missing_is_named_unless_nothing_is_signed_with_it(
    options: Options, missing: str
) -> None:
    with pytest.raises(SettingsError, match=missing):
        signing_keys(load({}), options)
    signing_keys(load({}), replace(options, telnyx=1 - options.telnyx, sources=frozenset({"twilio_call"})))
    signing_keys(load({"CALLSTREAM_UNSIGNED_CALLBACKS": "accept"}), options)


def test_without_secrets_it_sends_unsigned_to_who_accepts_that() -> None:
    environ = {"CALLSTREAM_UNSIGNED_CALLBACKS": "accept"}
    assert len(accounts(environ)) == 2
    assert not any("ignature" in name for request in requests(environ) for name in request.headers)


def test_no_secret_is_shown() -> None:
    environ = {
        "CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN": f"AC1={TOKEN}",
        "CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY": PRIVATE,
    }
    settings = load(environ)
    shown = repr(settings) + repr(signing_keys(settings, OPTIONS))
    assert TOKEN not in shown
    assert PRIVATE not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN", "AC1=topsecret,AC2=topsecret"),
        ("CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN", "topsecret"),
        ("CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY", "topsecret"),
        ("CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY", "dG9wc2VjcmV0"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as error:
        load({name: value})
    assert value not in str(error.value)


def test_signatures_are_those_that_the_providers_document() -> None:
    parameters = [("To", "client:zoë"), ("CallSid", "CA1"), ("Empty", "")]
    for url in ("http://hooks.example.test:8080/in?tenant=7", "https://hooks.example.test/in"):
        assert twilio_signature(TOKEN, url, parameters) == documented_twilio(url, parameters, TOKEN)
    # Voice over https is signed without its port.
    assert twilio_signature(TOKEN, "https://hooks.example.test:8443/in", parameters) == documented_twilio(
        "https://hooks.example.test/in", parameters, TOKEN
    )
    assert telnyx_signature(TELNYX_KEY, "1767225600", b"{}") == documented_telnyx(b"{}", "1767225600")


def test_a_new_key_is_another_one_each_time() -> None:
    assert new_private_key() != new_private_key()
    assert (
        len(load({"CALLSTREAM_TELNYX_PUBLIC_KEY": public_key_of(new_private_key())}).telnyx_public_key) == 1
    )
