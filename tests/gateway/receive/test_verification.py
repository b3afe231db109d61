"""Whether a whole request comes from its provider."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from urllib.parse import urlencode

import pytest

from stream.gateway.receive.credentials import GatewayCredentials, SharedKey, Signer
from stream.gateway.receive.request import (
    FORM,
    Content,
    RequestRefusedError,
    WebhookRequest,
    headers_of,
    pairs,
)
from stream.gateway.receive.telnyx_signature import public_key
from stream.gateway.receive.verification import VerifiedRequest
from tests.gateway import verdicts
from tests.gateway.signing import (
    ACCOUNT,
    HOST,
    NOW_S,
    OTHER_TELNYX_KEY,
    STATUS,
    TELNYX_KEY,
    TOKEN,
    public,
    telnyx_post,
    twilio,
    twilio_form,
    twilio_json,
)
from tests.gateway.verdicts import parsed, verified

SUBACCOUNT = "AC0f000000000000000000000000000010"
CREDENTIALS = GatewayCredentials(
    twilio_tokens={ACCOUNT: ("new", TOKEN), SUBACCOUNT: ("sub",)},
    twilio_shared_keys={"webhooks_sharedkey_1": SharedKey("", "shared")},
    telnyx_keys=(public_key(public(OTHER_TELNYX_KEY)), public_key(public(TELNYX_KEY))),
)
EVENT = b'{"data":{"event_type":"call.answered","id":"e1","payload":{"call_leg_id":"l1"}}}'
TEXML = urlencode(
    {"AccountSid": "0c0ffee0-1111-4222-8333-444455556666", "CallSid": "v3:a", "CallStatus": "ringing"}
).encode()


def judged(request: WebhookRequest, credentials: GatewayCredentials = CREDENTIALS) -> VerifiedRequest | str:
    return verdicts.judged(request, credentials)


def without(request: WebhookRequest, *names: str) -> WebhookRequest:
    gone = {name.lower() for name in names}
    return replace(
        request, headers=headers_of(pair for pair in request.headers.items() if pair[0].lower() not in gone)
    )


def with_header(request: WebhookRequest, name: str, value: str) -> WebhookRequest:
    return replace(
        without(request, name), headers=headers_of((*without(request, name).headers.items(), (name, value)))
    )


def of(account: str) -> list[tuple[str, str]]:
    return [(name, account if name == "AccountSid" else value) for name, value in STATUS]


def get(target: str, signature: str | None) -> WebhookRequest:
    headers = (("Host", HOST),) + ((("X-Twilio-Signature", signature),) if signature else ())
    return WebhookRequest(
        method="GET", target=target, headers=headers_of(headers), remote="203.0.113.9", secure=True
    )


def test_a_callback_of_a_configured_account_is_verified_and_says_how() -> None:
    request = twilio_form()
    assert judged(request) == VerifiedRequest(
        provider="twilio",
        account=ACCOUNT,
        variant="hmac_sha1 key=1 port=as_sent url=request",
        remote="203.0.113.9",
        token="token-1",
        content=parsed(request).content,
    )


def test_a_subaccounts_callback_needs_its_own_token() -> None:
    accepted = judged(twilio_form(of(SUBACCOUNT), token="sub"))
    assert isinstance(accepted, VerifiedRequest)
    assert accepted.account == SUBACCOUNT
    assert judged(twilio_form(of(SUBACCOUNT), token=TOKEN)) == "bad_signature"
    assert judged(twilio_form(of(ACCOUNT), token="sub")) == "bad_signature"


def test_an_account_that_is_not_configured_is_refused_with_any_signature() -> None:
    assert judged(twilio_form(of("ACother"))) == "unknown_account"
    assert judged(twilio_form(), GatewayCredentials()) == "unknown_account"


def test_a_token_without_an_account_signs_for_all() -> None:
    accepted = judged(twilio_form(of("ACother")), GatewayCredentials(twilio_tokens={"": (TOKEN,)}))
    assert isinstance(accepted, VerifiedRequest)
    assert (accepted.account, accepted.variant is not None) == ("ACother", True)


def test_a_get_signs_its_query() -> None:
    target = "/callbacks/twilio?tenant=7&" + urlencode(STATUS)
    accepted = judged(get(target, twilio(f"https://{HOST}{target}")))
    assert isinstance(accepted, VerifiedRequest)
    query = target.partition("?")[2].encode()
    assert (accepted.account, accepted.content.parameters) == (ACCOUNT, pairs(query))
    assert judged(get(target + "&x=1", twilio(f"https://{HOST}{target}"))) == "bad_signature"


def test_a_batch_of_event_streams_is_verified_by_its_hash_and_by_any_accounts_token() -> None:
    request = twilio_json(b"[{}]", token="sub")
    accepted = judged(request)
    assert accepted == VerifiedRequest(
        provider="twilio",
        account=SUBACCOUNT,
        variant="hmac_sha1 key=2 port=as_sent url=request",
        remote="203.0.113.9",
        token=None,
        content=parsed(request).content,
        signer=Signer(SUBACCOUNT, others=frozenset({ACCOUNT, SUBACCOUNT})),
    )
    assert judged(replace(twilio_json(b"[{}]"), body=b"[{} ]")) == "bad_signature"
    assert judged(twilio_json(b"[{}]", hashed=False)) == "bad_signature"


def test_a_shared_key_signs_in_place_of_the_token() -> None:
    url = f"https://{HOST}/callbacks/twilio"
    signed = with_header(twilio_form(), "X-Twilio-Signature", twilio(url, STATUS, "shared", "sha256"))
    settings = "X-Twilio-Webhooks-Signature-Settings"
    named = with_header(signed, settings, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    accepted = judged(named)
    assert isinstance(accepted, VerifiedRequest)
    assert accepted.variant == "hmac_sha256 key=0 port=as_sent url=request"
    assert judged(signed) == "bad_signature"
    assert judged(with_header(signed, settings, "key=other,algorithm=HMAC_SHA256")) == "bad_signature"
    assert judged(with_header(signed, settings, "key=webhooks_sharedkey_1")) == "bad_signature"


def test_behind_a_proxy_the_public_url_is_configured_or_forwarded_by_it() -> None:
    inside = twilio_form(host="10.0.0.5:8080", secure=False, remote="10.0.0.1")
    forwarded = with_header(inside, "Forwarded", f"for=198.51.100.7;host={HOST};proto=https")
    trusting = replace(CREDENTIALS, trusted_proxies=(ip_network("10.0.0.0/8"),))
    assert judged(inside) == "bad_signature"
    assert judged(forwarded) == "bad_signature"
    assert isinstance(judged(inside, replace(CREDENTIALS, public_url=f"https://{HOST}")), VerifiedRequest)
    accepted = judged(forwarded, trusting)
    assert isinstance(accepted, VerifiedRequest)
    assert accepted.variant == "hmac_sha1 key=1 port=as_sent url=forwarded"
    assert accepted.remote == "198.51.100.7"


def test_a_request_of_telnyx_is_verified_over_its_raw_body() -> None:
    accepted = judged(telnyx_post(EVENT, timestamp=str(int(NOW_S) - 7)))
    assert accepted == VerifiedRequest(
        provider="telnyx",
        account=None,
        variant="ed25519 key=1 age_s=7",
        remote="203.0.113.9",
        token=None,
        content=Content(raw=EVENT, parameters=None, query=None, is_json=True),
    )
    assert judged(telnyx_post(EVENT, signed=EVENT + b" ")) == "bad_signature"
    assert judged(telnyx_post(EVENT, timestamp=str(int(NOW_S) - 301))) == "stale_timestamp"
    assert judged(telnyx_post(EVENT), GatewayCredentials()) == "unknown_account"


def test_a_texml_callback_is_telnyxs_wherever_it_is_sent() -> None:
    """Case 58."""
    for target in ("/callbacks/telnyx", "/callbacks/twilio"):
        accepted = judged(telnyx_post(TEXML, target=target, media_type=FORM))
        assert isinstance(accepted, VerifiedRequest)
        assert (accepted.provider, accepted.account) == ("telnyx", "0c0ffee0-1111-4222-8333-444455556666")


def test_telnyxs_version_1_and_its_get_cannot_be_checked() -> None:
    version_1 = with_header(
        without(telnyx_post(EVENT), "Telnyx-Signature-Ed25519"), "X-Telnyx-Signature", "t=1,h=x"
    )
    assert judged(version_1) == "bad_signature"
    bare = telnyx_post(b"")
    assert judged(replace(bare, method="GET", target="/callbacks/telnyx?CallSid=v3:a")) == "bad_signature"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (without(twilio_form(), "X-Twilio-Signature"), "missing_signature"),
        (with_header(twilio_form(), "X-Twilio-Signature", ""), "missing_signature"),
        (without(telnyx_post(EVENT), "Telnyx-Signature-Ed25519"), "missing_signature"),
        (without(telnyx_post(EVENT), "Telnyx-Timestamp"), "missing_signature"),
        (without(twilio_form(), "Host"), "malformed"),
        (replace(twilio_form(), target="*"), "malformed"),
        (replace(twilio_form(), body=b"&" * 1000), "malformed"),
        (with_header(twilio_form(), "Content-Type", "text/plain"), "bad_signature"),
        (with_header(twilio_form(), "Host", "other.test"), "bad_signature"),
        (replace(twilio_form(), secure=False), "bad_signature"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused_with_a_reason(request_: WebhookRequest, reason: str) -> None:
    with pytest.raises(RequestRefusedError) as found:
        verified(request_, CREDENTIALS)
    assert found.value.reason == reason
    assert found.value.status in (400, 403)
    assert not any(secret in repr(found.value) for secret in (TOKEN, ACCOUNT, "5005550006"))


def test_unsigned_requests_are_taken_only_where_that_is_allowed_and_marked() -> None:
    allowed = replace(CREDENTIALS, accept_unsigned=True)
    for signed, name in (
        (twilio_form(), "X-Twilio-Signature"),
        (telnyx_post(EVENT), "Telnyx-Signature-Ed25519"),
    ):
        accepted = judged(without(signed, name), allowed)
        assert isinstance(accepted, VerifiedRequest)
        assert accepted.variant is None
    wrong = replace(telnyx_post(EVENT), body=EVENT + b" ")
    assert judged(wrong, allowed) == "bad_signature"
    assert judged(twilio_form(token="wrong"), allowed) == "bad_signature"


def test_where_nothing_is_configured_a_signature_is_not_checked_if_unsigned_is_allowed() -> None:
    for request in (twilio_form(), telnyx_post(EVENT)):
        accepted = judged(request, GatewayCredentials(accept_unsigned=True))
        assert isinstance(accepted, VerifiedRequest)
        assert accepted.variant is None


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (twilio_form(), "twilio"),
        (twilio_form(target="/callbacks/telnyx"), "twilio"),
        (telnyx_post(EVENT, target="/callbacks/twilio"), "telnyx"),
        (WebhookRequest(method="POST", target="/callbacks/telnyx"), "telnyx"),
        (WebhookRequest(method="POST", target="/callbacks/twilio?x=/telnyx/"), "twilio"),
        (with_header(twilio_form(target="/callbacks/telnyx"), "telnyx-signature-ed25519", "x"), "telnyx"),
        (with_header(twilio_form(), "telnyx-signature-ed25519", "x"), "twilio"),
    ],
)
def test_the_signature_says_whose_request_it_is_and_else_the_path(
    request_: WebhookRequest, expected: str
) -> None:
    assert parsed(request_).provider == expected


def test_without_a_signature_the_account_says_whose_form_it_is() -> None:
    bare = WebhookRequest(
        method="POST", target="/callbacks/twilio", headers=headers_of([("Content-Type", FORM)]), body=TEXML
    )
    assert parsed(bare).provider == "telnyx"
