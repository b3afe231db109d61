"""From a report that is due to the HTTP request in which its provider sends it.

The rule of this file: bytes are made once and signed as they are. A Twilio request is the same in every
attempt; Telnyx counts its attempts in the body, which is then signed anew.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import orjson

from stream.simulator.delivery.signing import SigningKeys, telnyx_signature, twilio_signature
from stream.simulator.traffic import ReportDelivery


class OutgoingWebhook(NamedTuple):
    """One POST."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """A gateway: where it is reached, and the URL that a provider has of it and signs."""

    base: str
    public: str


def gateway_address(base: str, public_url: str = "") -> GatewayAddress:
    """A gateway on this machine; `public_url` as in the settings. Raises ValueError.

    Simulated calls are load, and load is for nobody else's machine.
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
    if not _is_here(host):
        raise ValueError(f"{host} is not this machine: simulated calls go to 127.0.0.1, ::1 or localhost")
    base = base.rstrip("/")
    return GatewayAddress(base, public_url.rstrip("/") or base)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def twilio(sending: ReportDelivery, to: GatewayAddress, signing: SigningKeys) -> OutgoingWebhook:
    """A status callback: a form, for every attempt the same."""
    call, report = sending.call, sending.report
    path = call.endpoint(report.source)
    parameters = list(call.body(report, sending.attempt).items())
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "User-Agent": "TwilioProxy/1.1",
        "Accept": "*/*",
    }
    token = call.token(report, sending.attempt)
    if token is not None:
        headers["I-Twilio-Idempotency-Token"] = token
    if signing.twilio_token is not None:
        headers["X-Twilio-Signature"] = twilio_signature(signing.twilio_token, to.public + path, parameters)
    return OutgoingWebhook(to.base + path, headers, urlencode(parameters).encode())


def telnyx(
    sending: ReportDelivery, to: GatewayAddress, signing: SigningKeys, *, tries: int, now_s: float
) -> OutgoingWebhook:
    """A webhook in JSON, version 2. `tries` of this delivery failed before; `now_s` is Unix time."""
    call, report = sending.call, sending.report
    path = call.endpoint(report.source)
    said = call.body(report, sending.attempt + tries)
    said["meta"]["delivered_to"] = to.public + path
    body = orjson.dumps(said)
    headers = {"Content-Type": "application/json", "User-Agent": "telnyx-webhooks", "Accept": "*/*"}
    if signing.telnyx_key is not None:
        timestamp = str(int(now_s))
        headers["telnyx-timestamp"] = timestamp
        headers["telnyx-signature-ed25519"] = telnyx_signature(signing.telnyx_key, timestamp, body)
    return OutgoingWebhook(to.base + path, headers, body)
