"""The doctor of Telnyx' signature: the key, the clock, or the body."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace

import pytest

from stream.gateway.diagnose.diagnosis import FITS
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import WebhookRequest, headers_of
from stream.gateway.receive.telnyx_signature import public_key
from tests.gateway.signing import NOW_S, OTHER_TELNYX_KEY, TELNYX_KEY, public, telnyx_post
from tests.gateway.verdicts import diagnosed

CREDENTIALS = GatewayCredentials(telnyx_keys=(public_key(public()),))
SENT = b'{"data":{"id":"e1","payload":{"to":"sip:zo\xc3\xab@example.test"}}}'
STAMP = str(int(NOW_S))


@dataclass(frozen=True)
class Case:
    request: WebhookRequest
    sentence: str
    settings: tuple[str, ...] = ()
    credentials: GatewayCredentials = CREDENTIALS
    secrets: tuple[str, ...] = ()


def signed_otherwise(message: bytes) -> WebhookRequest:
    signature = base64.b64encode(TELNYX_KEY.sign(message)).decode()
    request = telnyx_post(SENT)
    return replace(
        request,
        headers=headers_of((n, signature if "Signature" in n else v) for n, v in request.headers.items()),
    )


def without(name: str, *more: tuple[str, str]) -> WebhookRequest:
    request = telnyx_post(SENT)
    return replace(
        request, headers=headers_of([*(pair for pair in request.headers.items() if pair[0] != name), *more])
    )


KEY = ("CALLSTREAM_TELNYX_PUBLIC_KEY",)
CASES = {
    "another key": Case(telnyx_post(SENT, key=OTHER_TELNYX_KEY), "No configured public key fits", KEY),
    "another key that the operator tries": Case(
        telnyx_post(SENT, key=OTHER_TELNYX_KEY),
        "Telnyx's signature fits if the public key is the one that was tried here: "
        "add it to CALLSTREAM_TELNYX_PUBLIC_KEY.",
        KEY,
        secrets=("no key", public(OTHER_TELNYX_KEY)),
    ),
    "no key": Case(
        telnyx_post(SENT),
        "No public key of Telnyx is configured: set CALLSTREAM_TELNYX_PUBLIC_KEY.",
        KEY,
        GatewayCredentials(),
    ),
    "a clock that is an hour ahead": Case(
        telnyx_post(SENT, timestamp=str(int(NOW_S) - 3600)),
        "fits if a request signed 3600 s ago by this machine's clock is allowed: set the clock of this "
        "machine, or CALLSTREAM_TELNYX_TOLERANCE_S",
        ("CALLSTREAM_TELNYX_TOLERANCE_S",),
    ),
    "a clock that is an hour behind": Case(
        telnyx_post(SENT, timestamp=str(int(NOW_S) + 3600)),
        "signed 3600 s in the future by this machine's clock",
        ("CALLSTREAM_TELNYX_TOLERANCE_S",),
    ),
    "a body that was written again": Case(
        telnyx_post(json.dumps(json.loads(SENT), ensure_ascii=False).encode(), signed=SENT),
        "fits if the JSON was not written again after Telnyx sent it: let the proxy before the gateway pass",
    ),
    "a body that was written again in ASCII, and a clock": Case(
        telnyx_post(SENT.replace(b"\xc3\xab", b"\\u00eb"), signed=SENT, timestamp=str(int(NOW_S) - 301)),
        "fits if the JSON was not written again after Telnyx sent it and a request signed 301 s ago",
        ("CALLSTREAM_TELNYX_TOLERANCE_S",),
    ),
    "a line end": Case(telnyx_post(SENT + b"\n", signed=SENT), "a line end after the body is left out"),
    "a line end that was taken off": Case(
        telnyx_post(SENT, signed=SENT + b"\n"), "a line end follows the body"
    ),
    "a byte order mark": Case(telnyx_post(b"\xef\xbb\xbf" + SENT, signed=SENT), "no byte order mark"),
    "line ends of Windows": Case(telnyx_post(b"{\r\n}", signed=b"{\n}"), "line ends are those of Unix"),
    "the body alone": Case(signed_otherwise(SENT), "the time stamp is not signed with the body"),
    "a dot": Case(signed_otherwise(STAMP.encode() + b"." + SENT), "a dot stands between time stamp and body"),
    "an empty body": Case(telnyx_post(b"", signed=b"x"), "let Telnyx send with POST"),
    "no signature": Case(
        without("Telnyx-Signature-Ed25519"), "The header telnyx-signature-ed25519 is missing"
    ),
    "no time stamp": Case(without("Telnyx-Timestamp"), "The header telnyx-timestamp is missing"),
    "version 1": Case(
        without("Telnyx-Signature-Ed25519", ("X-Telnyx-Signature", "x")), "webhook API version to 2"
    ),
    "a signature that is none": Case(
        without("Telnyx-Signature-Ed25519", ("telnyx-signature-ed25519", "AAAA")),
        "is not as Telnyx writes it",
    ),
}


TEXML_GET = "/callbacks/telnyx?AccountSid=0c0ffee0-1111-4222-8333-444455556666&CallSid=v3%3Aa"
BY_GET = (
    "A GET of Telnyx is refused: Telnyx' signature covers the body and not the query, so anybody who saw one "
    "request could send any query. Let Telnyx send with POST: status_callback_method of the TeXML "
    "application, statusCallbackMethod and the like in TeXML, webhook_url_method of a command."
)


@pytest.mark.parametrize(
    "request_",
    [
        replace(telnyx_post(b""), method="GET", target=TEXML_GET),
        replace(telnyx_post(b"", key=OTHER_TELNYX_KEY), method="GET", target=TEXML_GET),
        replace(telnyx_post(b"", signed=b"x"), method="GET", target="/callbacks/twilio?CallSid=v3%3Aa"),
        WebhookRequest(method="GET", target=TEXML_GET.replace("telnyx", "twilio")),
    ],
    ids=["signed", "signed with another key", "signed otherwise", "without a signature, at Twilio's path"],
)
def test_of_a_get_the_doctor_says_that_the_method_is_wrong_and_not_the_key(request_: WebhookRequest) -> None:
    for credentials in (CREDENTIALS, GatewayCredentials()):
        found = diagnosed(request_, credentials)
        assert (found.fits, found.sentence, found.settings) == (None, BY_GET, ())


@pytest.mark.parametrize("name", CASES)
def test_the_doctor_says_what_would_fit_and_which_setting_mends_it(name: str) -> None:
    case = CASES[name]
    found = diagnosed(case.request, case.credentials, secrets=case.secrets)
    assert case.sentence in found.sentence
    assert found.settings == case.settings
    assert found.fits is (False if "signature fits if" in found.sentence else None)
    assert not [secret for secret in ("zoë", *case.secrets) if secret in repr(found) and secret != "no key"]


def test_a_request_that_fits_is_said_to_fit() -> None:
    assert diagnosed(telnyx_post(SENT), CREDENTIALS) == FITS
