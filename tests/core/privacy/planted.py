"""What must never leave and what must stay as it is: the corpus that every test of privacy reads.

Numbers and names are invented: North American ones from the block 555-01xx, the rest from ranges that the
regulators reserve for drama.
"""

from __future__ import annotations

from typing import Any, NamedTuple

NUMBER = "+14155550142"
OTHER_NUMBER = "+442079460958"
PERSON = "JANE ROE"
USER = "jane.roe.trunk"
SECRET = "hunter2-hunter2"
DIGITS_PRESSED = "73914682"

SPELLINGS = (
    "+14155550142",
    "+1 415 555 0142",
    "+1-415-555-0142",
    "+1 (415) 555-0142",
    "+1.415.555.0142",
    "+1\u00a0415\u00a0555\u00a00142",
    "+1\u2011415\u2011555\u20110142",
    "14155550142",
    "0014155550142",
    "(415) 555-0142",
    "415-555-0142",
    "415.555.0142",
    "415 555 0142",
    "4155550142",
    "5550142",
    "555-0142",
    "+442079460958",
    "020 7946 0958",
    "+49 30 23125 042",
    "%2B14155550142",
    "%2b1%20415%20555%200142",
    "%252B14155550142",
    "+\u0661\u0664\u0661\u0665\u0665\u0665\u0665\u0660\u0661\u0664\u0662",
)
"""A phone number as providers, customers and people write it: wherever it stands, it is masked."""

ADDRESSES = (
    "sip:jane.roe.trunk@pbx.example.test",
    "sips:jane.roe.trunk@pbx.example.test;transport=tls",
    "SIP:jane.roe.trunk@pbx.example.test",
    "sip:+14155550142@carrier.example.test;user=phone",
    "sip:jane.roe.trunk:hunter2-hunter2@pbx.example.test",
    "<sip:jane.roe.trunk@pbx.example.test>;tag=1928",
    '"JANE ROE" <sip:+14155550142@carrier.example.test>',
    "sip%3Ajane.roe.trunk%40pbx.example.test",
    "tel:+1-415-555-0142",
    "tel:5550142",
    "client:jane.roe.trunk",
)
"""Addresses of people, by scheme."""

TEXTS = (
    "No route to {}",
    "Invalid 'To' number {}: not reachable",
    "transfer({})",
    "KeyError: '{}'",
    "{}, retried",
    "dest={}&attempt=2",
    "a\tb\n{}",
    "\u00e4\u00f6 {} \u2603",
)
"""Free text with a place for a number or an address."""

URLS = (
    "https://hooks.example.test/calls/{}/status",
    "https://hooks.example.test/status?caller={}",
    "https://user:hunter2-hunter2@hooks.example.test/{}#x",
    "HTTPS://hooks.example.test/c/{}",
    "wss://media.example.test/{}",
)
"""URLs with a place for a number."""

SECRET_NAMES = (
    "SipAuthPassword",
    "sip_auth_password",
    "sipAuthPassword",
    "SIP_AUTH_PASSWORD",
    "SipAuthUsername",
    "sip_auth_username",
    "http_auth_username",
    "AuthUserName",
    "password",
    "Password",
    "db-password",
    "passwordHash",
    "userpassword",
    "ClientSecret",
    "api_secret",
    "shared-secret-key",
    "AuthToken",
    "access_token",
    "CallToken",
    "StirPassportToken",
    "refreshToken",
    "TOKEN",
    "Authorization",
    "proxy-authorization",
    "SendDigits",
    "send_digits",
    "Digits",
    "DtmfDigits",
    "dtmf",
    "digit",
    "Credential",
    "sip_credentials",
    "CredentialList",
    "pin",
    "PIN",
    "PinCode",
    "user_pin",
    "UserPIN",
    "conference-pin",
    "pin_number",
    "api_key",
    "PaymentCardNumber",
    "card_number",
    "securityCode",
    "cvv",
    "bank_account_number",
    "ExpirationDate",
    "SipHeader_X-Auth-Token",
    "SipHeader_Identity",
    "client_state",
)
"""Names whose value leaves in no mode."""

HARMLESS_NAMES = (
    "ping",
    "pinned",
    "shipping",
    "spinning",
    "opinion",
    "PingMs",
    "AccountSid",
    "author",
    "authority",
    "Author",
    "cardinality",
    "discarded",
    "total_tokens",
    "first_token_received",
    "CallStatus",
    "Direction",
    "username_format",
)
"""Names that only look like those: their value stays."""

TO_STAY: tuple[tuple[str, Any], ...] = (
    ("CallSid", "CA" + "1" * 32),
    ("ParentCallSid", "CA" + "0f" * 16),
    ("x", "CA12345678901234567890123456789012"),
    ("RecordingSid", "RE55555555555555555555555555555555"),
    ("call_control_id", "v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ"),
    ("x", "v3:abcdefghijklmnopqrstuvwxyz0123456789"),
    ("call_leg_id", "c3f1d6a0-0000-11ef-8000-02420a0d7e70"),
    ("x", "12345678-1234-1234-1234-123456789012"),
    ("x", "c3f1d6a0-0000-11ef-8000-024201234567"),
    ("connection_id", "1700000000000000001"),
    ("ConnectionId", "1234567890"),
    ("x", "1700000000000000001"),
    ("phone_number_sid", "PN" + "2" * 32),
    ("sip_call_id", "1234567890@192.0.2.17"),
    ("x", "a84b4c76e66710@pbx.example.test"),
    ("Timestamp", "Mon, 02 Mar 2026 10:00:19 +0000"),
    ("x", "Mon, 02 Mar 2026 10:00:19 +0000"),
    ("x", "2026-03-02T10:00:19.450211Z"),
    ("x", "2026-03-02 10:00:19.450211+00:00"),
    ("x", "2026-03-02"),
    ("x", "02.03.2026"),
    ("x", "03/02/2026"),
    ("x", "20260302T100019Z"),
    ("timestamp", "1772445619"),
    ("start_time", "1772445619123"),
    ("x", "1772445619.123456"),
    ("x", "1772445619123"),
    ("x", "since 1772445619123, v20260302100019, 0x4155550142"),
    ("x", "z9hG4bK1234567890"),
    ("ApiVersion", "2010-04-01"),
    ("x", "v2.18.0"),
    ("x", "120.0.6099.129"),
    ("x", "192.168.100.101"),
    ("x", "192.168.100.101:50600"),
    ("x", "2001:db8:1234:5678::1"),
    ("price", "-0.00850000"),
    ("x", "-0.00850000"),
    ("x", "0.0085"),
    ("Duration", "49"),
    ("x", 4155550142),
    ("duration_ms", 1234567),
    ("packets_sent", "1234567"),
    ("content_length", "10485760"),
    ("SequenceNumber", "123456789"),
    ("sequence_number", "4155550"),
    ("ErrorCode", "13224"),
    ("error_code", "31600"),
    ("x", "31600"),
    ("sip_response_code", "486"),
    ("SipResponseCode", 486),
    ("x", "PCMU/8000"),
    ("x", "opus/48000/2"),
    ("x", "d41d8cd98f00b204e9800998ecf8427e"),
    ("x", "d41d8cd98f00b2041234567890123456"),
    ("content_hash", "12345678901234567890123456789012"),
    ("x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x", "SIP: 486 Busy Here"),
    ("x", "TN-Validation-Passed-A"),
    ("x", "call-progress-events"),
    ("x", "outbound-api"),
    ("x", "hotel:5"),
    ("x", "a = b + 1"),
    ("x", "100 %"),
    ("x", "10-20-30"),
    ("x", ""),
    ("x", None),
    ("x", True),
    ("x", 0.5),
)
"""(name, value) of what is nobody's number: ids, times, versions, hashes, amounts, codes, codecs. `x` is a
name that says nothing."""


class Place(NamedTuple):
    """Where a provider was seen to put a number, a name or a secret: a delivery with `planted` in it."""

    name: str
    source: str
    body: dict[str, Any]
    planted: tuple[str, ...]
    never: bool = False
    """A secret: it leaves in no mode, `full` included."""


CALL_ID = "CA" + "0f" * 16
ACCOUNT = "AC" + "0a" * 16
LEG_ID = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"


def status(**more: Any) -> dict[str, Any]:
    """The parameters of a status callback."""
    return {
        "CallSid": CALL_ID,
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "CallStatus": "ringing",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "1",
        "Timestamp": "Mon, 02 Mar 2026 10:00:01 +0000",
        **more,
    }


def form(**more: Any) -> dict[str, Any]:
    """The parameters of another callback."""
    return {"CallSid": CALL_ID, "AccountSid": ACCOUNT, **more}


def logged(
    url: str = "https://hooks.example.test/tw", code: int | None = 200, **parameters: Any
) -> dict[str, Any]:
    """A row of the request log."""
    return {
        "request": {"method": "POST", "url": url, "parameters": {"call_sid": CALL_ID, **parameters}},
        "response": {
            "response_code": code,
            "request_duration": 38,
            "date_created": "Mon, 02 Mar 2026 10:00:00 +0000",
        },
    }


def insight(**more: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-03-02T10:00:02Z",
        "call_sid": CALL_ID,
        "account_sid": ACCOUNT,
        "edge": "sdk_edge",
        "group": "connection",
        "name": "error",
        "level": "ERROR",
        **more,
    }


def streamed(kind: str = "com.twilio.voice.api-request.call.created", **parameters: Any) -> dict[str, Any]:
    """A CloudEvent of Event Streams that repeats a request."""
    return {
        "specversion": "1.0",
        "type": kind,
        "id": "EZ1",
        "time": "2026-03-02T10:00:01.900Z",
        "data": {
            "sid": CALL_ID,
            "request": {"method": "POST", "url": "https://hooks.example.test/tw", "parameters": parameters},
        },
    }


def summary(**more: Any) -> dict[str, Any]:
    return {"call_sid": CALL_ID, "account_sid": ACCOUNT, "call_state": "completed", **more}


def webhook(event_type: str = "call.initiated", **payload: Any) -> dict[str, Any]:
    return {
        "data": {
            "record_type": "event",
            "event_type": event_type,
            "id": "e1",
            "occurred_at": "2026-03-02T10:00:00.310007Z",
            "payload": {"call_leg_id": LEG_ID, **payload},
        },
        "meta": {"attempt": 1, "delivered_to": "https://hooks.example.test/tx"},
    }


def telnyx_row(
    delivered_to: str = "https://hooks.example.test/tx", delivery: str = "failed", **more: Any
) -> dict[str, Any]:
    return {
        "record_type": "call_event",
        "call_leg_id": LEG_ID,
        "event_timestamp": "2026-03-02T10:00:19.450211Z",
        "name": "call.hangup",
        "type": "webhook",
        "metadata": {"attempt": 1, "delivered_to": delivered_to, "status": delivery, **more},
    }


_ENCODED = "%2B14155550142"
_URI = f"sip:{USER}@pbx.example.test"
_LOCAL = "4155550142"
"""What every spelling of the number without its country contains once separators are gone."""

PLACES: tuple[Place, ...] = (
    # Twilio's status callback
    Place(
        "from and to", "twilio_status_callback", status(From=NUMBER, To=OTHER_NUMBER), (NUMBER, OTHER_NUMBER)
    ),
    Place("caller and called", "twilio_status_callback", status(Caller=NUMBER, Called=_URI), (NUMBER, USER)),
    Place("forwarded from", "twilio_status_callback", status(ForwardedFrom=NUMBER), (NUMBER,)),
    Place("caller name", "twilio_status_callback", status(CallerName=PERSON), (PERSON,)),
    Place(
        "sip header",
        "twilio_status_callback",
        status(**{"SipHeader_P-Asserted-Identity": f'"{PERSON}" <sip:{NUMBER}@carrier.example>'}),
        (PERSON, NUMBER),
    ),
    Place(
        "sip header of a number", "twilio_status_callback", status(**{"SipHeader_X-ANI": _LOCAL}), (_LOCAL,)
    ),
    Place(
        "sip header of a name",
        "twilio_status_callback",
        status(**{"SipHeader_X-Customer": PERSON}),
        (PERSON,),
    ),
    Place("transfer target", "twilio_status_callback", status(ReferTransferTarget=_URI), (USER,)),
    Place(
        "transfer target without scheme", "twilio_status_callback", status(ReferTransferTarget=USER), (USER,)
    ),
    Place("error message", "twilio_status_callback", status(ErrorMessage=f"no route to {NUMBER}"), (NUMBER,)),
    Place("custom parameter", "twilio_status_callback", status(Lead=f"lead {_LOCAL}"), (_LOCAL,)),
    Place("custom parameter with a uri", "twilio_status_callback", status(Agent=_URI), (USER,)),
    Place("uri under a url's name", "twilio_status_callback", status(Url=_URI), (USER,)),
    Place(
        "number in a url's path",
        "twilio_status_callback",
        status(StatusCallback=f"https://h.example/{_ENCODED}/x"),
        ("14155550142",),
    ),
    Place("name of a parameter", "twilio_status_callback", status(**{NUMBER: "1"}), (NUMBER,)),
    Place(
        "tokens",
        "twilio_status_callback",
        status(CallToken=SECRET, StirPassportToken=SECRET),
        (SECRET,),
        True,
    ),
    # Twilio's other callbacks
    Place("dialled number", "twilio_other_callback", form(DialCallNumber=NUMBER), (NUMBER,)),
    Place("dialled short number", "twilio_other_callback", form(DialCallNumber="311042"), ("311042",)),
    Place("digits pressed", "twilio_other_callback", form(Digits=DIGITS_PRESSED), (DIGITS_PRESSED,), True),
    Place("digits sent", "twilio_other_callback", form(SendDigits=DIGITS_PRESSED), (DIGITS_PRESSED,), True),
    Place("pin", "twilio_other_callback", form(UserPin=DIGITS_PRESSED), (DIGITS_PRESSED,), True),
    Place(
        "transcription",
        "twilio_other_callback",
        form(TranscriptionEvent="x", TranscriptionData=PERSON),
        (PERSON,),
    ),
    Place("speech", "twilio_other_callback", form(SpeechResult=f"call {NUMBER}"), (NUMBER,)),
    Place(
        "card",
        "twilio_other_callback",
        form(PaymentCardNumber="4242424242424242"),
        ("4242424242424242",),
        True,
    ),
    Place(
        "stream's custom parameters",
        "twilio_other_callback",
        form(StreamEvent="stream-started", CustomParameters='{"name": "JANE ROE"}'),
        (PERSON,),
    ),
    Place(
        "participant",
        "twilio_conference_callback",
        form(StatusCallbackEvent="participant-join", ConferenceSid="CF1", ParticipantLabel=NUMBER),
        (NUMBER,),
    ),
    Place(
        "conference's name",
        "twilio_conference_callback",
        form(StatusCallbackEvent="conference-start", ConferenceSid="CF1", FriendlyName=f"room {NUMBER}"),
        (NUMBER,),
    ),
    Place(
        "recording's url",
        "twilio_recording_callback",
        form(RecordingSid="RE1", RecordingStatus="completed", RecordingUrl=f"https://h.example/{_LOCAL}.wav"),
        (_LOCAL,),
    ),
    Place("answering party", "twilio_amd_callback", form(AnsweredBy="human", To=NUMBER), (NUMBER,)),
    # Twilio's request log
    Place(
        "logged from and to",
        "twilio_call_event",
        logged(to=NUMBER, from_=OTHER_NUMBER),
        (NUMBER, OTHER_NUMBER),
    ),
    Place(
        "logged sip header",
        "twilio_call_event",
        logged(**{"sip_header_p-asserted-identity": f"<sip:{NUMBER}@carrier.example>"}),
        (NUMBER,),
    ),
    Place(
        "logged credentials",
        "twilio_call_event",
        logged(sip_auth_username=USER, sip_auth_password=SECRET),
        (USER, SECRET),
        True,
    ),
    Place("logged digits", "twilio_call_event", logged(send_digits=DIGITS_PRESSED), (DIGITS_PRESSED,), True),
    Place("logged twiml", "twilio_call_event", logged(twiml=f"<Dial>{NUMBER}</Dial>"), (NUMBER,)),
    Place(
        "path of a failing webhook",
        "twilio_call_event",
        logged(url=f"https://hooks.example.test/{_ENCODED}/status?caller={NUMBER}", code=500),
        ("14155550142",),
    ),
    Place(
        "user of a failing webhook",
        "twilio_call_event",
        logged(url=f"https://admin:{SECRET}@hooks.example.test/x", code=500),
        (SECRET,),
        True,
    ),
    Place(
        "parameters as a form",
        "twilio_call_event",
        {
            "request": {
                "url": "https://api.twilio.com/x",
                "parameters": f"To={_ENCODED}&SipAuthPassword={SECRET}&SipAuthUsername={USER}",
            },
            "response": {},
        },
        (SECRET, USER),
        True,
    ),
    # Twilio Event Streams
    Place(
        "streamed credentials",
        "twilio_event_stream",
        streamed(SipAuthUsername=USER, SipAuthPassword=SECRET),
        (USER, SECRET),
        True,
    ),
    Place("streamed to", "twilio_event_stream", streamed(To=_URI), (USER,)),
    Place(
        "streamed status url", "twilio_event_stream", streamed(Url=f"https://h.example/{NUMBER}"), (NUMBER,)
    ),
    # Twilio's rows
    Place(
        "row's to",
        "twilio_call",
        {"sid": CALL_ID, "status": "queued", "to_formatted": "(415) 555-0142"},
        ("555-0142",),
    ),
    Place("row's caller name", "twilio_call", {"sid": CALL_ID, "caller_name": PERSON}, (PERSON,)),
    Place("summary's callee", "twilio_call_summary", summary(to={"callee": USER, "carrier": "x"}), (USER,)),
    Place("summary's caller", "twilio_call_summary", summary(**{"from": {"caller": _LOCAL}}), (_LOCAL,)),
    Place(
        "insight's message",
        "twilio_insights_event",
        insight(sdk_edge={"error": {"code": 31404, "message": f"not found: {_URI}"}}),
        (USER,),
    ),
    Place("insight's name", "twilio_insights_event", insight(name=f"dial {NUMBER}"), (NUMBER,)),
    # Telnyx
    Place("telnyx' from and to", "telnyx_webhook", webhook(**{"from": NUMBER, "to": _URI}), (NUMBER, USER)),
    Place(
        "caller id",
        "telnyx_webhook",
        webhook(caller_id_name=PERSON, caller_id_number=_LOCAL),
        (PERSON, _LOCAL),
    ),
    Place("destination number", "telnyx_webhook", webhook(destination_number="311042"), ("311042",)),
    Place(
        "telnyx' headers",
        "telnyx_webhook",
        webhook(custom_headers=[{"name": "X-Customer", "value": PERSON}]),
        (PERSON,),
    ),
    Place(
        "a header's credential",
        "telnyx_webhook",
        webhook(sip_headers=[{"name": "Authorization", "value": f"Digest {SECRET}"}]),
        (SECRET,),
        True,
    ),
    Place(
        "telnyx' digit",
        "telnyx_webhook",
        webhook("call.gather.ended", digits=DIGITS_PRESSED),
        (DIGITS_PRESSED,),
        True,
    ),
    Place("client state", "telnyx_webhook", webhook(client_state=SECRET), (SECRET,), True),
    Place(
        "failure's text", "telnyx_webhook", webhook("call.refer.failed", failure=f"to {_URI} failed"), (USER,)
    ),
    Place("display name", "telnyx_webhook", webhook(from_display_name=PERSON), (PERSON,)),
    Place(
        "telnyx' failing webhook",
        "telnyx_call_event",
        telnyx_row(delivered_to=f"https://hooks.example.test/{_ENCODED}"),
        ("14155550142",),
    ),
    Place(
        "a command's credentials",
        "telnyx_call_event",
        telnyx_row(sip_auth_username=USER, sip_auth_password=SECRET),
        (USER, SECRET),
        True,
    ),
    Place(
        "quality as a text of json",
        "telnyx_texml_callback",
        status(CallQualityStats=f'{{"peer": "{_LOCAL}", "auth_token": "{SECRET}"}}'),
        (_LOCAL, SECRET),
    ),
    Place("texml's caller id", "telnyx_texml_callback", status(CallerId=NUMBER), (NUMBER,)),
    Place(
        "telnyx' own account of a webhook",
        "telnyx_webhook_delivery",
        {
            "id": "d1",
            "status": "failed",
            "webhook": {"event_type": "call.hangup", "payload": {"call_leg_id": LEG_ID}},
            "error": f"refused by {NUMBER}",
        },
        (NUMBER,),
    ),
)
"""Every place by name, with what is planted there."""
