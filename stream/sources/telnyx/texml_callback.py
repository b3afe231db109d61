"""Telnyx' TeXML callbacks: Twilio's forms with Telnyx' ids and Telnyx' signature.

`CallSid` is always the key; `CallLegId` comes only at the end and links the call to Call Control events.
`Timestamp` is RFC 2822 in the text of the documentation and ISO 8601 in its samples: both are read.
Other callbacks (recording, AMD, conference, …) are decoded like Twilio's of the same kind.
"""

from __future__ import annotations

from stream.core.events import Envelope, Reading
from stream.sources import fields
from stream.sources.twilio import forms
from stream.sources.twilio.parameters import PROGRESS, child_of, kind_of_form
from stream.sources.twilio.status_callback import progress


def decode(envelope: Envelope) -> list[Reading]:
    body, repeated = fields.flatten_form(envelope.body)
    kind = kind_of_form(body)
    if body.get("ConferenceSid") and body.get("CallbackSource") != PROGRESS:
        kind = "conference"
    if kind != "progress":
        return forms.DECODERS[kind](envelope, "telnyx")

    child_call_id = child_of(body)
    leg_id = fields.lenient_identifier(body.get("CallLegId"))
    session_id = fields.lenient_identifier(body.get("CallSessionId"))
    reading = progress(body, envelope.account, envelope.source, "telnyx", fields.either_stamp)
    event, facts = reading.event, reading.facts
    event.attributes.update(repeated)
    if event.sip_response_code is None:
        event.sip_response_code = fields.sip_response_code(body.get("SipHangupCause"))
    if facts is not None and leg_id is not None:
        event.leg_id = facts["leg_id"] = leg_id
        del event.attributes["CallLegId"]
    if facts is not None and session_id is not None:
        event.session_id = facts["session_id"] = session_id
        del event.attributes["CallSessionId"]
    if facts is not None and (attestation := fields.ATTESTATIONS.get(body.get("ShakenStirAttestation"))):
        facts["stir_attestation"] = attestation
    reading.child_call_id = child_call_id
    return [reading]
