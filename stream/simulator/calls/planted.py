"""Personal data and secrets planted in one call in sixteen, where providers and customers put them.

Everything planted is recognisable wherever it comes out (see `check.leaks`). It follows from the call's key
alone, so it takes no draw of the run's randomness; and it changes no identity, status or sequence number.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

NAME_MARK, SECRET_MARK, DIGITS_MARK = "xq9zkn", "xq9zks", "90909"
"""How a planted name, a secret and a row of pressed digits begin."""

APPLICATION = "app.example.test"
BY_NUMBER = f"https://{APPLICATION}/by-number/"
"""URLs of an application that has the caller's number in its path."""

ONE_IN = 16


class Planted(NamedTuple):
    """The planted data of one call: a number in several spellings, a person, a user of a PBX, secrets."""

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
        """A webhook's URL as a customer configured it."""
        host = f"hook:{self.secret}@{APPLICATION}"
        path = f"{quote(self.number)}/status"
        return f"https://{host}/by-number/{path}?caller={quote(self.number)}&token={self.token}"

    def fill(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """A template of this module with this call's data in it."""
        words = {**self._asdict(), "url": self.url, "quoted": quote(self.number)}
        return {name.format_map(words): _filled(value, words) for name, value in template.items()}


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(words)
    if isinstance(value, dict):
        return {name.format_map(words): _filled(inner, words) for name, inner in value.items()}
    return [_filled(inner, words) for inner in value] if isinstance(value, list) else value


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
        # It is opaque, and looks like the provider's.
        state=base64.b64encode(base64.b64decode(f"{SECRET_MARK}{text[4:14]}")).decode(),
        digits=f"{DIGITS_MARK}{int(text[:8], 16) % 10**9:09d}",
    )


# Templates: where the data is planted. `Planted.fill` replaces what is in braces, in names and in values.

CALLBACK = {
    "CallerName": "{name}",
    "ForwardedFrom": "{number}",
    "ToCity": "{name}",
    "CallToken": "{token}",
    "StirPassportToken": "{token}",
    "SipHeader_P-Asserted-Identity": '"{name}" <sip:{number}@carrier.example.test>',
    "SipHeader_X-ANI": "{local}",
    "SipHeader_X-Customer": "{name}",
    "SipHeader_X-Auth-Token": "{token}",
    "ReferTransferTarget": "{uri}",
    "DialCallNumber": "{number}",
    "Digits": "{digits}",
    "SpeechResult": "please call {number}, says {name}",
    "Url": "{uri}",
    "StatusCallback": "{url}",
    "Lead": "lead {local}",
    "Agent": "{uri}",
    "CustomParameters": '{{"name": "{name}", "number": "{spaced}"}}',
    "{number}": "1",
}
"""Parameters of a status callback beyond the usual ones, as headers, customers and carriers add them."""

API_REQUEST = {
    "sip_auth_username": "{secret}",
    "sip_auth_password": "{token}",
    "send_digits": "{digits}",
    "caller_id": "{spaced}",
    "status_callback": "{url}",
    "twiml": "<Response><Dial>{number}</Dial></Response>",
    "machine_detection_note": "no machine at {quoted}",
}
"""Parameters of the request that created a call, as the request log repeats them."""

SIDE_CALLBACK = {
    "ParticipantLabel": "{name}",
    "CallerId": "{spaced}",
    "TranscriptionData": '{{"transcript": "call {spaced}, says {name}", "confidence": 0.9}}',
    "StatusCallback": "{url}",
    "SipHeader_X-Auth-Token": "{token}",
}
"""Parameters of the callbacks that are not a call's progress, and of TeXML's."""

CALL_ROW = {
    "caller_name": "{name}",
    "forwarded_from": "{number}",
    "to_formatted": "{spaced}",
    "annotation": "asked for {number}",
}
"""Fields of Twilio's Calls resource."""

INSIGHTS_EVENT = {
    "remote": {"number": "{local}", "location": {"city": "{name}"}},
    "message": "not found: {uri} ({spaced})",
    "custom_parameters": {"lead": "{number}", "password": "{secret}"},
}
"""Fields that an edge's payload has beside its own."""

SUMMARY_SIDE = {
    "caller": {"caller": "{local}", "city": "{name}"},
    "callee": {"callee": "{uri}", "city": "{name}"},
}
"""Each side of a call in its summary."""

REQUEST_HEADERS = {
    "Authorization": "Bearer {token}",
    "X-Customer": "{name}",
    "X-Twilio-Signature": "{secret}",
}
RESPONSE_HEADERS = {"Set-Cookie": "session={token}", "Location": "{url}", "X-Agent": "{uri}"}
"""Headers of a failed request and of its answer, as Twilio's error log repeats them."""

WEBHOOK = {
    "client_state": "{state}",
    "caller_id_name": "{name}",
    "caller_id_number": "{local}",
    "from_display_name": "{name}",
    "destination_number": "{number}",
    "digits": "{digits}",
    "custom_headers": [
        {"name": "X-Customer", "value": "{name}"},
        {"name": "Authorization", "value": "Bearer {token}"},
    ],
    "sip_headers": [{"name": "P-Asserted-Identity", "value": "<sip:{number}@carrier.example.test>"}],
    "sip_auth_username": "{secret}",
    "sip_auth_password": "{token}",
    "stream_url": "wss://media.example.test/{number}",
    "webhook_url": "{url}",
    "transfer_to": "{uri}",
    "transcription_data": {"transcript": "call {spaced}, says {name}", "confidence": 0.9},
    "failure": "to {uri} failed, no route to {number}",
    "custom": {"lead": [{"phone": "{number}", "pin": "{digits}"}]},
}
"""Fields of a Telnyx event's payload."""

ATTEMPT = {
    "request": {"url": "{url}", "headers": [["authorization", "Bearer {token}"]]},
    "response": {"status": 200, "headers": [["set-cookie", "{token}"]], "body": "hello {name}"},
}
"""The request of a webhook's delivery and its answer, as Telnyx reports them."""
