"""The providers: reached or not, credentials taken or not, on a real server."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace

import pytest

from stream.cli.checkup.check import Check
from stream.cli.checkup.http_probe import ProbeAnswer
from stream.cli.checkup.providers import providers
from stream.service.settings import Settings, load
from tests.cli.checkup.apis import Apis
from tests.gateway.signing import ACCOUNT

TOKEN, OLD, SECRET, KEY = "planted-token", "planted-old-token", "planted-secret", "KEYplanted"


def given(apis: Apis, **more: object) -> Settings:
    return replace(load({**apis.environ}), **more)  # type: ignore[arg-type]


def of(checks: Sequence[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def refused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def test_nothing_configured_is_reached_and_no_credential_is_sent() -> None:
    async with Apis().serving() as apis:
        found = await providers(given(apis))
    assert [(check.name, check.state) for check in found] == [
        ("twilio API", "ok"),
        ("twilio insights", "ok"),
        ("twilio monitor", "ok"),
        ("telnyx API", "ok"),
        ("clock", "unknown"),
        ("telnyx API key", "ok"),
        ("twilio credentials", "ok"),
    ]
    assert of(found, "telnyx API").says.startswith(f"http://127.0.0.1:{apis.port} answers in ")
    assert {sent for _, sent in apis.seen} == {""}


async def test_a_provider_that_does_not_tell_the_time_is_reached_and_the_clock_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream.cli.checkup.providers.is_this_machine", lambda host: False)
    async with Apis(tells_the_time=False).serving() as apis:
        found = await providers(given(apis))
    assert of(found, "twilio API").state == "ok"
    says = "no other machine told its time"
    assert of(found, "clock") == Check("clock", "unknown", says)


async def test_the_time_of_an_answer_is_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object, **__: object) -> ProbeAnswer:
        return ProbeAnswer(200, None, sent_s=100.0, got_s=100.25)

    monkeypatch.setattr("stream.cli.checkup.providers.probe", answer)
    found = await providers(Settings(twilio_api_url="https://api.example.test"))
    assert of(found, "twilio API") == Check("twilio API", "ok", "https://api.example.test answers in 250 ms")


async def test_credentials_that_are_taken() -> None:
    async with Apis(users={ACCOUNT: TOKEN, "SK1": SECRET}, telnyx_key=KEY).serving() as apis:
        settings = given(
            apis,
            twilio_account_sid=ACCOUNT,
            twilio_auth_token=(TOKEN,),
            twilio_api_key="SK1",
            twilio_api_secret=SECRET,
            telnyx_api_key=KEY,
        )
        found = await providers(settings)
    assert found[-3:] == [
        Check("twilio account AC…0009", "ok", "the auth token is taken"),
        Check("twilio API key", "ok", "it is taken"),
        Check("telnyx API key", "ok", "it is taken"),
    ]
    assert f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json?PageSize=1" in [path for path, _ in apis.seen]


async def test_credentials_that_are_refused_are_said_by_their_place() -> None:
    async with Apis(users={ACCOUNT: TOKEN}).serving() as apis:
        settings = given(
            apis,
            twilio_account_sid=ACCOUNT,
            twilio_auth_token=(TOKEN, OLD),
            twilio_api_key="SK1",
            twilio_api_secret=SECRET,
            telnyx_api_key=KEY,
        )
        found = await providers(settings)
    assert found[-3:] == [
        Check(
            "twilio account AC…0009",
            "failed",
            "auth token 2 of 2 is refused (401)",
            "check CALLSTREAM_TWILIO_AUTH_TOKEN",
        ),
        Check(
            "twilio API key",
            "failed",
            "it is refused (401)",
            "check CALLSTREAM_TWILIO_API_KEY and CALLSTREAM_TWILIO_API_SECRET",
        ),
        Check("telnyx API key", "failed", "it is refused (401)", "check CALLSTREAM_TELNYX_API_KEY"),
    ]


@pytest.mark.parametrize(
    ("more", "name", "state", "says"),
    [
        ({"twilio_auth_token": (TOKEN,)}, "twilio credentials", "unknown", "account is not named"),
        ({"twilio_api_key": "SK1"}, "twilio API key", "failed", "one half of it is missing"),
        ({"twilio_api_secret": SECRET}, "twilio API key", "failed", "one half of it is missing"),
        (
            {"twilio_api_key": "SK1", "twilio_api_secret": SECRET},
            "twilio API key",
            "failed",
            "its account is not named",
        ),
        ({"telnyx_api_key": "KEY\nplanted"}, "telnyx API key", "failed", "characters that no key has"),
        (
            {"twilio_account_tokens": (("ACother", TOKEN),)},
            "twilio account …",
            "failed",
            "the account's calls are not there (404)",
        ),
        (
            {"twilio_account_tokens": tuple((f"AC{n:032}", TOKEN) for n in range(12))},
            "twilio credentials",
            "unknown",
            "2 more accounts were not tried",
        ),
    ],
)
async def test_what_is_half_configured(more: dict[str, object], name: str, state: str, says: str) -> None:
    async with Apis().serving() as apis:
        check = of(await providers(given(apis, **more)), name)
    assert check.state == state
    assert says in check.says


@pytest.mark.parametrize(
    ("status", "state"), [(403, "failed"), (404, "failed"), (429, "unknown"), (500, "unknown")]
)
async def test_other_answers_say_what_they_can(status: int, state: str) -> None:
    async with Apis(status=status).serving() as apis:
        found = await providers(given(apis, telnyx_api_key=KEY))
    assert (of(found, "telnyx API").state, of(found, "telnyx API key").state) == ("ok", state)
    assert ("CALLSTREAM_TELNYX_API_URL" in of(found, "telnyx API key").mend) is (status == 404)
    assert str(status) in of(found, "telnyx API key").says


async def test_no_redirect_gets_a_credential() -> None:
    async with Apis(status=302).serving() as apis:
        found = await providers(
            given(apis, telnyx_api_key=KEY, twilio_account_sid=ACCOUNT, twilio_auth_token=(TOKEN,))
        )
    assert of(found, "telnyx API key").state == "unknown"
    assert "/stolen" not in [path for path, _ in apis.seen]


async def test_no_credential_goes_over_plain_http_to_another_machine() -> None:
    url = "http://another-machine.invalid"
    settings = Settings(
        twilio_api_url=url,
        twilio_insights_url=url,
        twilio_monitor_url=url,
        telnyx_api_url=url,
        telnyx_api_key=KEY,
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=(TOKEN,),
    )
    found = await providers(settings)
    says = "not tried: a secret is not sent over plain HTTP"
    assert found[-2:] == [
        Check("twilio account AC…0009", "unknown", says),
        Check("telnyx API key", "unknown", says),
    ]


async def test_what_cannot_be_reached_fails_where_it_is_used_and_warns_where_not() -> None:
    url = f"http://planted-user:planted-password@127.0.0.1:{refused_port()}"
    settings = Settings(
        twilio_api_url=url,
        twilio_insights_url="https://no-such-host.invalid",
        twilio_monitor_url="https://no-such-host.invalid",
        telnyx_api_url="http://[planted",
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=(TOKEN,),
    )
    found = await providers(settings)
    shown = url.replace("planted-user:planted-password@", "")
    assert of(found, "twilio API") == Check(
        "twilio API",
        "failed",
        f"{shown} cannot be reached: connection refused",
        "check CALLSTREAM_TWILIO_API_URL, the network and its firewall",
    )
    assert of(found, "twilio insights").state == "failed"
    assert of(found, "twilio insights").says.startswith("https://no-such-host.invalid cannot be reached: ")
    assert of(found, "telnyx API") == Check(
        "telnyx API", "failed", "its address is not a URL", "check CALLSTREAM_TELNYX_API_URL"
    )
    assert of(found, "twilio account AC…0009").state == "unknown"
    assert of(found, "clock").state == "unknown"
    assert "planted" not in repr(found)

    unused = await providers(replace(settings, twilio_account_sid="", twilio_auth_token=()))
    assert of(unused, "twilio API").state == "warning"


async def test_what_does_not_speak_tls_or_http_is_not_reached() -> None:
    async with Apis().serving() as apis:
        url = f"https://127.0.0.1:{apis.port}"
        found = await providers(
            Settings(twilio_api_url=url, twilio_insights_url=url, twilio_monitor_url=url, telnyx_api_url=url)
        )
    assert {(check.state, check.says.partition(": ")[2]) for check in found[:4]} == {
        ("warning", "TLS failed, or its certificate is not accepted")
    }
