"""A token signs for its own account and for the subaccounts configured under it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from stream.core.call.ownership import check_signer
from stream.core.events import DecodeError
from stream.gateway.receive.credentials import GatewayCredentials, SharedKey
from stream.gateway.receive.request import WebhookRequest
from stream.kafka.envelope_codec import read_envelope
from stream.sources import DECODERS
from tests.core.deliveries import CALL_ID
from tests.gateway.receive.test_verification import SUBACCOUNT, get, of, with_header
from tests.gateway.running_gateway import running_gateway
from tests.gateway.signing import ACCOUNT, HOST, STATUS, TOKEN, twilio, twilio_form, twilio_json
from tests.gateway.verdicts import judged, landed

OTHER = "AC0f000000000000000000000000000011"
CREDENTIALS = GatewayCredentials(
    twilio_tokens={ACCOUNT: (TOKEN,), OTHER: ("other",)}, twilio_subaccounts={SUBACCOUNT: ACCOUNT}
)
LOGGED = "com.twilio.error-logs.error.logged"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


def accounts(
    body: bytes, token: str, credentials: GatewayCredentials = CREDENTIALS
) -> list[tuple[str | None, str | None]]:
    """(account of the envelope, why the worker sets it aside) of what lands of a batch."""
    found = landed(twilio_json(body, token=token), credentials)
    said = []
    for one in found:
        envelope = read_envelope(one.value)
        try:
            check_signer(envelope, DECODERS[envelope.source](envelope))
        except DecodeError as error:
            said.append((envelope.account, error.reason))
        else:
            said.append((envelope.account, None))
    return said


def batch(*owners: str | None) -> bytes:
    return orjson.dumps(
        [
            {
                "specversion": "1.0",
                "id": f"EZ{place}",
                "type": "com.twilio.voice.insights.call-summary",
                "data": {"sid": "CA1", "accountSid": owner} if owner else {"sid": "CA1"},
            }
            for place, owner in enumerate(owners)
        ]
    )


def test_events_signed_by_one_account_are_its_own_or_its_subaccounts_and_of_no_other() -> None:
    assert accounts(batch(ACCOUNT, None, SUBACCOUNT, OTHER), TOKEN) == [
        (ACCOUNT, None),
        (ACCOUNT, None),
        (SUBACCOUNT, None),
        (ACCOUNT, "invalid_field"),
    ]
    assert accounts(batch(ACCOUNT, SUBACCOUNT, OTHER), "other") == [
        (OTHER, "invalid_field"),
        (OTHER, "invalid_field"),
        (OTHER, None),
    ]
    not_configured = replace(CREDENTIALS, twilio_subaccounts={})
    assert accounts(batch(SUBACCOUNT), TOKEN, not_configured) == [(ACCOUNT, "invalid_field")]


def logged(account: str, main: Any) -> bytes:
    """An entry of the error log as Event Streams sends it."""
    data = {"sid": "NO1", "account_sid": account, "master_account_sid": main, "payload": "{}"}
    return orjson.dumps([{"specversion": "1.0", "id": "NO1", "type": LOGGED, "data": data}])


@pytest.mark.parametrize("main", [ACCOUNT, OTHER, SUBACCOUNT, "", None, [ACCOUNT]])
def test_an_entry_of_a_subaccount_that_is_not_configured_is_signed_by_the_main_account_that_it_names(
    main: Any,
) -> None:
    """Its own token is not here, and the entry is its account's."""
    unlisted = replace(CREDENTIALS, twilio_subaccounts={})
    own = (SUBACCOUNT, None) if main == ACCOUNT else (ACCOUNT, "invalid_field")
    assert accounts(logged(SUBACCOUNT, main), TOKEN, unlisted) == [own]
    assert accounts(logged(SUBACCOUNT, main), TOKEN) == [(SUBACCOUNT, None)]
    assert accounts(logged(ACCOUNT, main), TOKEN) == [(ACCOUNT, None)]
    # Who has a token here, or is another account's, has no other main account.
    assert accounts(logged(OTHER, main), TOKEN) == [(ACCOUNT, "invalid_field")]
    others = replace(CREDENTIALS, twilio_subaccounts={SUBACCOUNT: OTHER})
    assert accounts(logged(SUBACCOUNT, main), TOKEN, others) == [(ACCOUNT, "invalid_field")]


def test_only_an_entry_of_the_error_log_names_a_main_account() -> None:
    unlisted = replace(CREDENTIALS, twilio_subaccounts={})
    body = logged(SUBACCOUNT, ACCOUNT).replace(LOGGED.encode(), b"com.twilio.voice.insights.call-summary")
    body = body.replace(b'"NO1"', b'"CA1"')
    assert accounts(body, TOKEN, unlisted) == [(ACCOUNT, "invalid_field")]


def test_a_token_without_an_account_speaks_for_whom_the_events_name() -> None:
    anyone = GatewayCredentials(twilio_tokens={"": (TOKEN,)})
    assert accounts(batch(ACCOUNT, OTHER), TOKEN, anyone) == [(None, None), (None, None)]


def account_of(request: WebhookRequest, credentials: GatewayCredentials = CREDENTIALS) -> str | None:
    """The account of a verified request, or why it is refused."""
    found = judged(request, credentials)
    return found if isinstance(found, str) else found.account


def test_a_subaccounts_form_may_be_signed_by_the_account_that_it_is_configured_under() -> None:
    assert account_of(twilio_form(of(SUBACCOUNT), token=TOKEN)) == SUBACCOUNT
    assert account_of(twilio_form(of(SUBACCOUNT), token="other")) == "bad_signature"
    assert account_of(twilio_form(of(OTHER), token=TOKEN)) == "bad_signature"
    own = replace(CREDENTIALS, twilio_tokens={**CREDENTIALS.twilio_tokens, SUBACCOUNT: ("sub",)})
    assert account_of(twilio_form(of(SUBACCOUNT), token="sub"), own) == SUBACCOUNT
    assert account_of(twilio_form(of(ACCOUNT), token="sub"), own) == "bad_signature"


def shared(account: str, credentials: GatewayCredentials) -> str | None:
    """What comes of a callback of `account` that the shared key `k` signed."""
    url = f"https://{HOST}/callbacks/twilio"
    signed = with_header(
        twilio_form(of(account)), "X-Twilio-Signature", twilio(url, of(account), "shared", "sha256")
    )
    return account_of(with_header(signed, SETTINGS, "key=k,algorithm=HMAC_SHA256"), credentials)


@pytest.mark.parametrize("tokens", [{}, {ACCOUNT: (TOKEN,), OTHER: ("other",)}])
def test_a_shared_key_speaks_for_its_account_with_and_without_a_token_beside_it(
    tokens: dict[str, tuple[str, ...]],
) -> None:
    credentials = GatewayCredentials(
        twilio_tokens=tokens,
        twilio_shared_keys={"k": SharedKey(ACCOUNT, "shared")},
        twilio_subaccounts={SUBACCOUNT: ACCOUNT},
    )
    assert shared(ACCOUNT, credentials) == ACCOUNT
    assert shared(SUBACCOUNT, credentials) == SUBACCOUNT
    assert shared(OTHER, credentials) == "unknown_account"
    anyone = replace(credentials, twilio_shared_keys={"k": SharedKey("", "shared")})
    assert shared(OTHER, anyone) == OTHER
    assert shared(ACCOUNT, replace(credentials, twilio_shared_keys={})) in (
        "bad_signature",
        "unknown_account",
    )


def test_where_only_a_shared_key_is_configured_a_signature_is_checked_even_if_unsigned_is_allowed() -> None:
    credentials = GatewayCredentials(
        twilio_shared_keys={"k": SharedKey(ACCOUNT, "shared")}, accept_unsigned=True
    )
    assert shared(ACCOUNT, credentials) == ACCOUNT
    wrong = with_header(twilio_form(), SETTINGS, "key=k,algorithm=HMAC_SHA256")
    assert account_of(wrong, credentials) == "bad_signature"


def test_a_query_that_names_nobody_is_its_signers() -> None:
    target = "/callbacks/twilio?" + urlencode([one for one in STATUS if one[0] != "AccountSid"])
    assert account_of(get(target, twilio(f"https://{HOST}{target}"))) == ACCOUNT


def debugger(account: str, parent: str, call_id: str = CALL_ID) -> list[tuple[str, str]]:
    """The Debugger's form about a subaccount; of a main account `parent` is empty."""
    return [
        ("AccountSid", account),
        ("Level", "ERROR"),
        ("ParentAccountSid", parent),
        ("Payload", f'{{"resource_sid":"{call_id}","error_code":"11200"}}'),
        ("PayloadType", "application/json"),
        ("Sid", "NO1"),
        ("Timestamp", "2026-03-02T10:00:07Z"),
    ]


def test_the_debuggers_signature_covers_its_empty_parameter() -> None:
    """By the algorithm of Twilio's documentation; the second one is without `ParentAccountSid`."""
    url = f"https://{HOST}/tw/debugger"
    assert twilio(url, debugger("AC1", "", "CA1")) == "lkmro/LgTOR4rC/PafbPtkNBcJc="
    anyone = GatewayCredentials(twilio_tokens={"AC1": (TOKEN,)})
    signed = twilio_form(debugger("AC1", "", "CA1"), target="/tw/debugger")
    assert account_of(signed, anyone) == "AC1"
    without = with_header(signed, "X-Twilio-Signature", "CAfH0FKPisdhq89r2Ps2AERtvx0=")
    assert account_of(without, anyone) == "bad_signature"


def test_a_debuggers_entry_lands_under_the_call_or_the_account_that_it_names() -> None:
    (about_call,) = landed(twilio_form(debugger(ACCOUNT, "")), CREDENTIALS)
    assert (about_call.source, about_call.key) == ("twilio_debugger", f"twilio:{CALL_ID}".encode())
    broken = [(name, "{" if name == "Payload" else value) for name, value in debugger(SUBACCOUNT, ACCOUNT)]
    (about_account,) = landed(twilio_form(broken), CREDENTIALS)
    assert about_account.key == f"twilio:account:{SUBACCOUNT}".encode()
    assert read_envelope(about_account.value).account == SUBACCOUNT
    assert read_envelope(about_account.value).body["Payload"] == "{"


def test_a_debuggers_entry_of_a_subaccount_may_be_signed_by_it_or_by_its_parent() -> None:
    by_parent = twilio_form(debugger(SUBACCOUNT, ACCOUNT), token=TOKEN)
    assert account_of(by_parent) == SUBACCOUNT
    main = replace(CREDENTIALS, twilio_subaccounts={})
    assert account_of(by_parent, main) == SUBACCOUNT
    assert account_of(twilio_form(debugger(SUBACCOUNT, ACCOUNT), token="other"), main) == "bad_signature"
    assert account_of(twilio_form(debugger(SUBACCOUNT, "ACunknown")), main) == "unknown_account"
    assert account_of(twilio_form(debugger(SUBACCOUNT, "")), main) == "unknown_account"
    (one,) = landed(by_parent, main)
    envelope = read_envelope(one.value)
    check_signer(envelope, DECODERS[envelope.source](envelope))
    assert envelope.account == SUBACCOUNT


def test_no_account_speaks_for_another_one_by_calling_itself_its_parent() -> None:
    assert account_of(twilio_form(debugger(OTHER, ACCOUNT), token=TOKEN)) == "bad_signature"
    # Nor in anything but the Debugger's form.
    claimed = [*of(SUBACCOUNT), ("ParentAccountSid", ACCOUNT)]
    unrelated = replace(CREDENTIALS, twilio_subaccounts={})
    assert account_of(twilio_form(claimed, token=TOKEN), unrelated) == "unknown_account"


def test_a_debuggers_entry_that_tells_an_old_time_is_refused_like_a_callback() -> None:
    one_day = replace(CREDENTIALS, twilio_max_age_s=86_400)
    old = [
        (name, "2025-12-30T23:59:59Z" if name == "Timestamp" else value)
        for name, value in debugger(ACCOUNT, "")
    ]
    assert account_of(twilio_form(old), one_day) == "stale_timestamp"
    new = [
        (name, "2025-12-31T00:00:01Z" if name == "Timestamp" else value)
        for name, value in debugger(ACCOUNT, "")
    ]
    assert account_of(twilio_form(new), one_day) == ACCOUNT


@pytest.mark.parametrize("payload", ['{"resource_sid":"CA1"}', "{", "", "[" * 4000])
async def test_a_debuggers_entry_is_answered_with_204_whatever_is_in_it(payload: str) -> None:
    form = [(name, payload if name == "Payload" else value) for name, value in debugger(ACCOUNT, "")]
    async with running_gateway() as gateway:
        answer = await gateway.send(twilio_form(form))
        assert (answer.status, await answer.read()) == (204, b"")
        (one,) = gateway.sink.landed
        assert one.source == "twilio_debugger"
        assert one.key is not None
        assert gateway.counted("webhook_events_received_total", source="twilio_debugger") == 1
