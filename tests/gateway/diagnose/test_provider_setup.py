"""The values printed for the providers are accepted by the gateway."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from stream.gateway.diagnose.provider_setup import ProviderSetup, SetupEntry, SetupSetting, concerns, setup
from stream.service.settings import Settings
from tests.gateway.signing import TOKEN, public

URL = "https://calls.example.com"
TRIED = f"{URL}/callbacks/twilio#rc=3&rp=all&rt=5000"


def values(found: ProviderSetup, provider: str) -> list[SetupEntry]:
    return [entry for section in found.sections if section.provider == provider for entry in section.entries]


def test_every_url_is_one_of_the_three_that_the_gateway_serves() -> None:
    found = setup(URL + "/", Settings())
    urls = {
        entry.value.partition("#")[0]
        for provider in ("twilio", "telnyx")
        for entry in values(found, provider)
        if entry.value.startswith("https:")
    }
    assert urls == {f"{URL}/callbacks/twilio", f"{URL}/callbacks/telnyx"}
    (sink,) = [json.loads(e.value) for e in values(found, "twilio") if e.name == "SinkConfiguration"]
    assert sink == {
        "destination": f"{URL}/callbacks/twilio/event-streams",
        "method": "POST",
        "batch_events": True,
    }


def test_a_path_that_a_proxy_takes_off_is_part_of_each_url() -> None:
    entries = values(setup(f"{URL}/voice", Settings()), "telnyx")
    assert SetupEntry("webhook_event_url", f"{URL}/voice/callbacks/telnyx") in entries


def test_each_event_of_a_call_is_subscribed_to_and_retried() -> None:
    entries = values(setup(URL, Settings()), "twilio")
    assert [entry.value for entry in entries if entry.name == "StatusCallbackEvent"] == [
        "initiated",
        "ringing",
        "answered",
        "completed",
    ]
    assert SetupEntry("StatusCallback", TRIED) in entries
    overrides = parse_qs(urlsplit(TRIED).fragment)
    assert overrides == {"rc": ["3"], "rp": ["all"], "rt": ["5000"]}


def test_the_debuggers_webhook_is_set_in_the_console_without_overrides() -> None:
    (section,) = [one for one in setup(URL, Settings()).sections if one.title.startswith("Debugger")]
    assert section.entries == (SetupEntry("Webhook URL", f"{URL}/callbacks/twilio"),)
    assert "Console" in section.title


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("<Number>, <Client>, <Sip>", "statusCallback"),
        ("<Dial>, <Record>", "recordingStatusCallback"),
        ("<Conference>", "statusCallback"),
        ("<Stream>, <Siprec>", "statusCallback"),
        ("<Transcription>", "statusCallbackUrl"),
    ],
)
def test_what_goes_into_twiml_is_xml_and_says_the_same_url(name: str, attribute: str) -> None:
    (entry,) = [one for one in values(setup(URL, Settings()), "twilio") if one.name == name]
    element = ElementTree.fromstring(f"<X {entry.value}/>")
    assert element.get(attribute) == TRIED
    assert element.get(attribute.removesuffix("Url") + "Method") == "POST"


def test_settings_say_whether_they_are_set_and_no_secret() -> None:
    settings = Settings(
        public_url="https://old.example.com",
        twilio_auth_token=(TOKEN,),
        telnyx_public_key=(public(),),
        unsigned_callbacks="accept",
    )
    found = setup(URL, settings)
    assert {one.name.removeprefix("CALLSTREAM_"): one.state for one in found.settings} == {
        "PUBLIC_URL": "differs",
        "TWILIO_ACCOUNT_SID": "not set",
        "TWILIO_AUTH_TOKEN": "set",
        "TWILIO_ACCOUNT_TOKENS": "not set",
        "TELNYX_PUBLIC_KEY": "set",
        "UNSIGNED_CALLBACKS": "differs",
        "GATEWAY_LISTEN": "127.0.0.1:8080",
    }
    assert TOKEN not in repr(found)
    assert setup(URL, Settings(public_url=URL + "/")).settings[0] == SetupSetting(
        "CALLSTREAM_PUBLIC_URL", URL, "set"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://calls.example.com", []),
        ("https://calls.example.com:8443/voice", []),
        ("https://8.8.8.8", []),
        ("http://calls.example.com", ["not https"]),
        ("https://my_calls.example.com", ["underscore"]),
        ("https://localhost:8080", ["private network"]),
        ("https://10.0.0.1", ["private network"]),
        ("https://[::1]", ["private network"]),
        ("https://gateway.internal", ["private network"]),
        ("https://calls.example.com/callbacks/twilio", ["before /callbacks"]),
    ],
)
def test_a_public_url_that_will_not_do_is_said_to(url: str, words: list[str]) -> None:
    found = concerns(url)
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))
