"""Every field in which a provider has put a number, a name or a secret."""

from __future__ import annotations

from tests.core.error_log import tellings as error_log
from tests.core.privacy.planted import DIGITS_PRESSED, NUMBER, OTHER_NUMBER, PERSON, SECRET, USER
from tests.core.privacy.planted_bodies import (
    CALL_ID,
    LEG_ID,
    Place,
    form,
    insight,
    logged,
    status,
    streamed,
    summary,
    telnyx_row,
    webhook,
)

_ENCODED = "%2B14155550142"
_URI = f"sip:{USER}@pbx.example.test"
_LOCAL = "4155550142"
"""Every spelling of the number contains this, without country code and separators."""

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
    # Twilio's error log
    Place(
        "parameters of a logged request",
        "twilio_debugger",
        error_log.debugger_form(
            error_log.details(asked={"CallSid": CALL_ID, "From": NUMBER, "CallerName": PERSON})
        ),
        (NUMBER, PERSON),
    ),
    Place(
        "a logged answer",
        "twilio_alert",
        error_log.alert_row(whole=True) | {"response_body": f"<Say>{PERSON}</Say> {SECRET}"},
        (PERSON, SECRET),
        True,
    ),
    Place(
        "a logged answer's headers",
        "twilio_alert",
        error_log.alert_row(whole=True) | {"response_headers": f"Set-Cookie={SECRET}&Server=x"},
        (SECRET,),
        True,
    ),
    Place(
        "query of a logged url",
        "twilio_alert",
        error_log.alert_row(url=f"https://h.example/x?sig={SECRET}&CallSid={CALL_ID}"),
        (SECRET,),
        True,
    ),
    Place(
        "text of a notification",
        "twilio_notification",
        {"sid": "NO1", "call_sid": CALL_ID, "message_text": f"no route to {NUMBER}"},
        (NUMBER,),
    ),
)
"""Every place by name, with the planted value."""
