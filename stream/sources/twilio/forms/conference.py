"""A conference's callback. Its sequence number counts within the conference, not within a call.

An event of a participant belongs to the participant's call; other ones have the conference as their key.
(Twilio: "Conference status callback events".)
"""

from __future__ import annotations

from stream.core.events import Envelope, Reading
from stream.sources import fields
from stream.sources.twilio.forms.form import event_of_form, form_of


def decode(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    body = form_of(envelope)
    event = event_of_form(
        envelope, body, provider, "conference", fields.text(body.get("StatusCallbackEvent"))
    )
    number = event.sequence_number = fields.whole_number(body.get("SequenceNumber"))
    if number is not None:
        del body["SequenceNumber"]
    occurred_us = fields.take_stamp(event, body, "Timestamp")
    conference_id = fields.lenient_identifier(body.get("ConferenceSid"))
    if number is None or conference_id is None:
        return [fields.by_content(envelope, event, occurred_us)]
    return [Reading(event, "3", (conference_id, number, event.name), occurred_us)]
