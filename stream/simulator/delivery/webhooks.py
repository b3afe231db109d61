"""From a report that is due to the signed HTTP request in which its provider sends it.

The body's bytes are made once and signed as they are. A Twilio request is the same in every attempt; Telnyx
counts its attempts in the body, which is then signed anew. The signatures are written from the providers'
documents and not from the gateway's code, so that the two check each other.
(Twilio: "Secure webhooks"; Telnyx: "Webhook fundamentals".)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stream.service.http.listening import is_this_machine
from stream.simulator.calls.call import ReportDelivery
from stream.simulator.calls.options import EVENT_STREAM
from stream.simulator.telnyx.texml_call import SOURCE as TEXML


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """The secrets that the providers sign with; None if that provider's webhooks are unsigned.

    `twilio_account`: the account of the token; empty if the token is valid for any account.
    """

    twilio_account: str = ""
    twilio_token: str | None = field(default=None, repr=False)
    telnyx_key: Ed25519PrivateKey | None = field(default=None, repr=False)


def other_keys() -> SigningKeys:
    """Keys that no gateway knows."""
    return SigningKeys(twilio_token=secrets.token_hex(16), telnyx_key=Ed25519PrivateKey.generate())


class OutgoingWebhook(NamedTuple):
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """`base`: where the gateway is reached; `public`: the URL that the providers know and sign."""

    base: str
    public: str


def gateway_address(base: str, public_url: str = "") -> GatewayAddress:
    """A gateway on this machine; `public_url` as in the settings. Raises ValueError.

    Only loopback addresses are accepted, because simulated calls are a load test.
    """
    parts = urlsplit(base)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise ValueError("the gateway's URL must be such as http://127.0.0.1:8080")
    if parts.query or parts.fragment:
        raise ValueError("the gateway's URL has no query and no fragment; see --retry-policy")
    if not is_this_machine(host):
        raise ValueError(f"{host} is not this machine: simulated calls go to 127.0.0.1, ::1 or localhost")
    base = base.rstrip("/")
    return GatewayAddress(base, public_url.rstrip("/") or base)


def twilio_webhook(delivery: ReportDelivery, to: GatewayAddress, keys: SigningKeys) -> OutgoingWebhook:
    """A callback, the same for every attempt: a form, or of Event Streams JSON."""
    call, report = delivery.call, delivery.report
    path = call.endpoint(report.source)
    if report.source == EVENT_STREAM:
        return _event_stream_webhook(call.body(report, delivery.attempt), path, to, keys)
    parameters = list(call.body(report, delivery.attempt).items())
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "User-Agent": "TwilioProxy/1.1",
        "Accept": "*/*",
    }
    token = call.token(report, delivery.attempt)
    if token is not None:
        headers["I-Twilio-Idempotency-Token"] = token
    if keys.twilio_token is not None:
        headers["X-Twilio-Signature"] = twilio_signature(keys.twilio_token, to.public + path, parameters)
    return OutgoingWebhook(to.base + path, headers, urlencode(parameters).encode())


def _event_stream_webhook(
    event: dict[str, Any], path: str, to: GatewayAddress, keys: SigningKeys
) -> OutgoingWebhook:
    """A batch of one event. The signature is that of the URL alone, which has the body's hash."""
    body = orjson.dumps([event])
    path += "?bodySHA256=" + hashlib.sha256(body).hexdigest()
    headers = {"Content-Type": "application/json", "User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
    if keys.twilio_token is not None:
        headers["X-Twilio-Signature"] = twilio_signature(keys.twilio_token, to.public + path, ())
    return OutgoingWebhook(to.base + path, headers, body)


def telnyx_webhook(
    delivery: ReportDelivery, to: GatewayAddress, keys: SigningKeys, *, failed_before: int, now_s: float
) -> OutgoingWebhook:
    """A webhook in JSON, version 2, or a form of TeXML. `failed_before`: earlier attempts of the delivery;
    `now_s`: Unix time.
    """
    call, report = delivery.call, delivery.report
    path = call.endpoint(report.source)
    said = call.body(report, delivery.attempt + failed_before)
    if report.source == TEXML:
        content_type, body = "application/x-www-form-urlencoded", urlencode(said).encode()
    else:
        said["meta"]["delivered_to"] = to.public + path
        content_type, body = "application/json", orjson.dumps(said)
    headers = {"Content-Type": content_type, "User-Agent": "telnyx-webhooks", "Accept": "*/*"}
    if keys.telnyx_key is not None:
        timestamp = str(int(now_s))
        headers["telnyx-timestamp"] = timestamp
        headers["telnyx-signature-ed25519"] = telnyx_signature(keys.telnyx_key, timestamp, body)
    return OutgoingWebhook(to.base + path, headers, body)


def twilio_signature(token: str, url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """X-Twilio-Signature of a form: the URL, then sorted names and values. An https port is left out."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.port is not None:
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))
    text = url + "".join(name + value for name, value in sorted(parameters))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def telnyx_signature(key: Ed25519PrivateKey, timestamp: str, body: bytes) -> str:
    """telnyx-signature-ed25519 of a body that is sent at a Unix time."""
    return base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
