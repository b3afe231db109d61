"""A request about an old event is refused, however well it is signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

import pytest

from stream.gateway import service
from stream.gateway.diagnose.diagnosis import FITS
from stream.gateway.diagnose.signature_doctor import diagnose
from stream.gateway.receive.credentials import GatewayCredentials, SharedKey
from stream.gateway.receive.request import WebhookRequest, headers_of
from stream.gateway.receive.telnyx_signature import public_key
from stream.service.settings import load
from tests.gateway.receive.test_verification import EVENT, get
from tests.gateway.running_gateway import running_gateway
from tests.gateway.signing import (
    ACCOUNT,
    HOST,
    NOW_S,
    STATUS,
    TOKEN,
    public,
    telnyx_post,
    twilio,
    twilio_form,
    twilio_json,
)
from tests.gateway.verdicts import judged, parsed, verified

DAY_S = 86_400.0
CREDENTIALS = GatewayCredentials(
    twilio_tokens={ACCOUNT: (TOKEN,)}, twilio_max_age_s=DAY_S, public_url=f"https://{HOST}"
)


def told(age_s: float) -> list[tuple[str, str]]:
    when = format_datetime(datetime.fromtimestamp(NOW_S - age_s, UTC))
    return [(name, when if name == "Timestamp" else value) for name, value in STATUS]


def by_get(age_s: float) -> WebhookRequest:
    target = "/callbacks/twilio?" + urlencode(told(age_s))
    return get(target, twilio(f"https://{HOST}{target}"))


def reason(request: WebhookRequest, credentials: GatewayCredentials = CREDENTIALS) -> str | None:
    found = judged(request, credentials)
    return found if isinstance(found, str) else None


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (DAY_S + 1, "stale_timestamp"),
        (40 * DAY_S, "stale_timestamp"),
        (DAY_S, None),
        (0, None),
        (-2 * DAY_S, None),
    ],
)
def test_what_is_older_than_the_setting_is_refused_and_what_our_clock_is_behind_of_is_not(
    age_s: float, expected: str | None
) -> None:
    assert reason(twilio_form(told(age_s))) == expected
    assert reason(by_get(age_s)) == expected


@pytest.mark.parametrize(
    "odd", ["", "yesterday", "2026-03-02T10:00:55Z", "Mon, 02 Mar 2026", "9" * 500, "\x00"]
)
def test_a_time_that_nobody_can_read_says_nothing_of_its_age(odd: str) -> None:
    assert reason(twilio_form([*STATUS[:5], ("Timestamp", odd)])) is None
    assert reason(twilio_form(STATUS[:5])) is None
    assert reason(twilio_json(b'[{"data":{"Timestamp":"Mon, 02 Mar 1998 10:00:55 +0000"}}]')) is None


def test_who_may_not_be_here_is_told_so_before_anything_is_said_of_his_clock() -> None:
    assert reason(twilio_form(told(9 * DAY_S), token="wrong")) == "bad_signature"


def test_the_age_of_an_unsigned_request_is_nobodys_business() -> None:
    old = twilio_form(told(9 * DAY_S))
    bare = replace(old, headers=headers_of(one for one in old.headers.items() if "Signature" not in one[0]))
    found = verified(bare, replace(CREDENTIALS, accept_unsigned=True))
    assert found.variant is None


def test_the_limit_is_a_setting() -> None:
    environ = {"CALLSTREAM_TWILIO_AUTH_TOKEN": TOKEN, "CALLSTREAM_PUBLIC_URL": f"https://{HOST}"}
    assert GatewayCredentials.from_settings(load(environ)).twilio_max_age_s == DAY_S
    short = GatewayCredentials.from_settings(load({**environ, "CALLSTREAM_TWILIO_MAX_AGE_S": "60"}))
    assert reason(twilio_form(told(61)), short) == "stale_timestamp"
    assert reason(twilio_form(told(59)), short) is None


def test_the_doctor_says_that_it_is_old_and_which_setting_says_how_old_it_may_be() -> None:
    found = diagnose(parsed(twilio_form(told(2 * DAY_S))), CREDENTIALS, NOW_S)
    assert found.fits is False
    assert found.sentence == (
        "The signature fits, but its Timestamp is 172800 s before our clock's time, more than "
        "CALLSTREAM_TWILIO_MAX_AGE_S allows: an old request was sent again, or our clock runs ahead."
    )
    assert found.settings == ("CALLSTREAM_TWILIO_MAX_AGE_S",)
    assert diagnose(parsed(twilio_form(told(60))), CREDENTIALS, NOW_S) == FITS


def test_the_doctor_says_of_a_get_with_a_body_of_telnyx_what_it_is() -> None:
    keys = replace(CREDENTIALS, telnyx_keys=(public_key(public()),))
    forged = replace(telnyx_post(EVENT), method="GET", target="/callbacks/twilio?CallSid=CA1")
    found = diagnose(parsed(forged), keys, NOW_S)
    assert (found.fits, "covers a body and no query" in found.sentence) == (None, True)


async def test_a_replay_is_refused_counted_and_handed_to_the_doctor() -> None:
    async with running_gateway(CREDENTIALS) as gateway:
        answer = await gateway.send(twilio_form())  # of March
        assert (answer.status, gateway.sink.landed) == (403, [])
        assert gateway.refused == [("stale_timestamp", "/callbacks/twilio")]
        assert (
            gateway.counted(
                "webhook_requests_rejected_total", source="twilio_status_callback", reason="stale_timestamp"
            )
            == 1
        )


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (GatewayCredentials(twilio_tokens={ACCOUNT: (TOKEN,)}), [service.HOST_CHOSEN]),
        (GatewayCredentials(twilio_shared_keys={"k": SharedKey(ACCOUNT, "shared")}), [service.HOST_CHOSEN]),
        (
            GatewayCredentials(twilio_tokens={ACCOUNT: (TOKEN,)}, accept_unsigned=True),
            [service.UNSIGNED, service.HOST_CHOSEN],
        ),
        (CREDENTIALS, []),
        (GatewayCredentials(telnyx_keys=(public_key(public()),)), []),
        (GatewayCredentials(), [service.NOBODY]),
    ],
)
def test_it_is_said_where_a_host_header_chooses_what_a_signature_is_checked_against(
    credentials: GatewayCredentials, expected: list[str]
) -> None:
    assert service.warnings(credentials) == expected
    assert service.ready(None, credentials)[1] == expected
