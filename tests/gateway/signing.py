"""How the providers sign, written from their documentation and independent of the code under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stream.gateway.receive.request import FORM, WebhookRequest, headers_of

TOKEN = "12345"
ACCOUNT = "AC0f000000000000000000000000000009"
NOW_S = 1_767_225_600.0
HOST = "hooks.example.test"

TELNYX_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_TELNYX_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))

Parameters = Sequence[tuple[str, str]]

STATUS: Parameters = [
    ("CallSid", "CA0f000000000000000000000000000001"),
    ("AccountSid", ACCOUNT),
    ("From", "+15005550006"),
    ("To", "client:zoë"),
    ("CallStatus", "completed"),
    ("Timestamp", "Mon, 02 Mar 2026 10:00:55 +0000"),
    ("CallbackSource", "call-progress-events"),
    ("SequenceNumber", "3"),
    ("CallerCity", ""),
]


def twilio(url: str, parameters: Parameters = (), token: str = TOKEN, digest: str = "sha1") -> str:
    text = url + "".join(name + value for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), digest).digest()).decode()


def body_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def telnyx(body: bytes, timestamp: str, key: Ed25519PrivateKey = TELNYX_KEY) -> str:
    return base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()


def public(key: Ed25519PrivateKey = TELNYX_KEY) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def twilio_form(
    parameters: Parameters = STATUS,
    *,
    target: str = "/callbacks/twilio",
    signed_url: str | None = None,
    signed: Parameters | None = None,
    token: str = TOKEN,
    host: str = HOST,
    headers: Parameters = (),
    remote: str = "203.0.113.9",
    secure: bool = True,
) -> WebhookRequest:
    """A form POST. `signed_url`, `signed`: what Twilio signed, where that is not what arrives."""
    url = f"https://{HOST}{target}" if signed_url is None else signed_url
    return WebhookRequest(
        method="POST",
        target=target,
        headers=headers_of(
            (
                ("Host", host),
                ("Content-Type", FORM),
                ("X-Twilio-Signature", twilio(url, parameters if signed is None else signed, token)),
                ("I-Twilio-Idempotency-Token", "token-1"),
                *headers,
            )
        ),
        body=urlencode(parameters).encode(),
        remote=remote,
        secure=secure,
    )


def twilio_json(
    body: bytes,
    *,
    target: str = "/callbacks/twilio/event-streams",
    signed_url: str | None = None,
    token: str = TOKEN,
    hashed: bool = True,
) -> WebhookRequest:
    if hashed:
        target += ("&" if "?" in target else "?") + f"bodySHA256={body_hash(body)}"
    url = f"https://{HOST}{target}" if signed_url is None else signed_url
    return WebhookRequest(
        method="POST",
        target=target,
        headers=headers_of(
            (
                ("Host", HOST),
                ("Content-Type", "application/json; charset=utf-8"),
                ("X-Twilio-Signature", twilio(url, token=token)),
            )
        ),
        body=body,
        remote="203.0.113.9",
        secure=True,
    )


def telnyx_post(
    body: bytes,
    *,
    timestamp: str = str(int(NOW_S)),
    signed: bytes | None = None,
    key: Ed25519PrivateKey = TELNYX_KEY,
    target: str = "/callbacks/telnyx",
    media_type: str = "application/json",
) -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        target=target,
        headers=headers_of(
            (
                ("Host", HOST),
                ("Content-Type", media_type),
                ("Telnyx-Timestamp", timestamp),
                ("Telnyx-Signature-Ed25519", telnyx(body if signed is None else signed, timestamp, key)),
            )
        ),
        body=body,
        remote="203.0.113.9",
        secure=True,
    )
