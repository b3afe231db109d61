"""What must not leave, put where providers and customers put it: numbers, names and secrets of one call in
sixteen.

The rule of this file: whatever is planted is recognised wherever it comes out (see `leaks`), and follows from
the call's key alone, so that it takes no draw of a run's chance. It changes no identity, status or number.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

NAME_MARK, SECRET_MARK, DIGITS_MARK = "xq9zkn", "xq9zks", "90909"
"""How a planted name, secret and row of pressed digits begin."""

APPLICATION = "app.example.test"
BY_NUMBER = f"https://{APPLICATION}/by-number/"
"""URLs of an application that has the caller's number in its path."""

ONE_IN = 16


class Planted(NamedTuple):
    """One call's: a number in several spellings, a person, a user of a PBX, secrets."""

    number: str
    local: str
    spaced: str
    name: str
    uri: str
    secret: str
    token: str
    state: str
    digits: str

    @property
    def url(self) -> str:
        """A webhook's URL as somebody set it up."""
        host = f"hook:{self.secret}@{APPLICATION}"
        path = f"{quote(self.number)}/status"
        return f"https://{host}/by-number/{path}?caller={quote(self.number)}&token={self.token}"


@lru_cache(maxsize=1024)
def planted_for(key: str) -> Planted | None:
    """What is planted in the call of this key; None for most calls."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    if digest[0] % ONE_IN:
        return None
    text = digest.hex()
    tail = digest[1] % 100
    secret, token = f"{SECRET_MARK}{text[4:16]}", f"{SECRET_MARK}{text[16:28]}"
    name = f"{NAME_MARK}{text[20:26]}"
    return Planted(
        number=f"+1415555{100 + tail:04d}",
        local=f"415555{100 + tail:04d}",
        spaced=f"(415) 555-{100 + tail:04d}",
        name=name,
        uri=f"sip:{name}@pbx.example.test",
        secret=secret,
        token=token,
        # It is opaque, and looks as the provider's does.
        state=base64.b64encode(base64.b64decode(f"{SECRET_MARK}{text[4:14]}")).decode(),
        digits=f"{DIGITS_MARK}{int(text[:8], 16) % 10**9:09d}",
    )


def endpoint_scope(scope: str) -> str:
    """An alert's scope without the number in it, which leaves in as many ways as there are settings."""
    before, by_number, _ = scope.partition(BY_NUMBER)
    return before + by_number


def callback(of: Planted) -> dict[str, str]:
    """Parameters of a status callback beyond the usual ones, as headers, customers and carriers add them."""
    return {
        "CallerName": of.name,
        "ForwardedFrom": of.number,
        "ToCity": of.name,
        "CallToken": of.token,
        "StirPassportToken": of.token,
        "SipHeader_P-Asserted-Identity": f'"{of.name}" <sip:{of.number}@carrier.example.test>',
        "SipHeader_X-ANI": of.local,
        "SipHeader_X-Customer": of.name,
        "SipHeader_X-Auth-Token": of.token,
        "ReferTransferTarget": of.uri,
        "DialCallNumber": of.number,
        "Digits": of.digits,
        "SpeechResult": f"please call {of.number}, says {of.name}",
        "Url": of.uri,
        "StatusCallback": of.url,
        "Lead": f"lead {of.local}",
        "Agent": of.uri,
        "CustomParameters": f'{{"name": "{of.name}", "number": "{of.spaced}"}}',
        of.number: "1",
    }


def api_request(of: Planted) -> dict[str, str]:
    """Parameters of the request that made a call, as the request log repeats them."""
    return {
        "sip_auth_username": of.secret,
        "sip_auth_password": of.token,
        "send_digits": of.digits,
        "caller_id": of.spaced,
        "status_callback": of.url,
        "twiml": f"<Response><Dial>{of.number}</Dial></Response>",
        "machine_detection_note": f"no machine at {quote(of.number)}",
    }


def call_row(of: Planted) -> dict[str, str]:
    """Fields of the Calls resource."""
    return {
        "caller_name": of.name,
        "forwarded_from": of.number,
        "to_formatted": of.spaced,
        "annotation": f"asked for {of.number}",
    }


def insight(of: Planted) -> dict[str, Any]:
    """What an edge's payload has beside its own."""
    return {
        "remote": {"number": of.local, "location": {"city": of.name}},
        "message": f"not found: {of.uri} ({of.spaced})",
        "custom_parameters": {"lead": of.number, "password": of.secret},
    }


def summary_side(of: Planted, role: str) -> dict[str, Any]:
    """One side of a call in its summary."""
    return {role: of.uri if role == "callee" else of.local, "city": of.name}


def webhook(of: Planted) -> dict[str, Any]:
    """Fields of a Telnyx event's payload."""
    return {
        "client_state": of.state,
        "caller_id_name": of.name,
        "caller_id_number": of.local,
        "from_display_name": of.name,
        "destination_number": of.number,
        "digits": of.digits,
        "custom_headers": [
            {"name": "X-Customer", "value": of.name},
            {"name": "Authorization", "value": f"Bearer {of.token}"},
        ],
        "sip_headers": [{"name": "P-Asserted-Identity", "value": f"<sip:{of.number}@carrier.example.test>"}],
        "sip_auth_username": of.secret,
        "sip_auth_password": of.token,
        "stream_url": f"wss://media.example.test/{of.number}",
        "webhook_url": of.url,
        "transfer_to": of.uri,
        "transcription_data": {"transcript": f"call {of.spaced}, says {of.name}", "confidence": 0.9},
        "failure": f"to {of.uri} failed, no route to {of.number}",
        "custom": {"lead": [{"phone": of.number, "pin": of.digits}]},
    }


def attempt(of: Planted) -> dict[str, Any]:
    """An HTTP request of a webhook's delivery and what was answered, as Telnyx tells of it."""
    return {
        "request": {"url": of.url, "headers": [["authorization", f"Bearer {of.token}"]]},
        "response": {"status": 200, "headers": [["set-cookie", of.token]], "body": f"hello {of.name}"},
    }
