"""Decoders, one file a source: from a raw envelope's body to readings of events.

A decoder is pure and may modify the envelope's body. It raises only `DecodeError`, if a delivery cannot be
read; a field that is merely odd is read as null, and its raw value stays in the event's `attributes`.
The first reading is the delivery's own event; the others are sightings of events inside it.
"""

from __future__ import annotations

from collections.abc import Callable

from stream.core.events import Envelope, Reading
from stream.sources import (
    twilio_call,
    twilio_call_event,
    twilio_error_log,
    twilio_event_stream,
    twilio_forms,
    twilio_insights_event,
    twilio_status_callback,
)
from stream.sources.telnyx import call_event, texml_callback, webhook, webhook_delivery

Decoder = Callable[[Envelope], list[Reading]]

DECODERS: dict[str, Decoder] = {
    "twilio_status_callback": twilio_status_callback.decode,
    "twilio_recording_callback": twilio_forms.recording_callback,
    "twilio_amd_callback": twilio_forms.amd_callback,
    "twilio_conference_callback": twilio_forms.conference_callback,
    "twilio_other_callback": twilio_forms.other_callback,
    "twilio_event_stream": twilio_event_stream.decode,
    "twilio_call": twilio_call.decode,
    "twilio_call_event": twilio_call_event.decode,
    "twilio_insights_event": twilio_insights_event.decode,
    "twilio_call_summary": twilio_insights_event.summary,
    "telnyx_webhook": webhook.decode,
    "telnyx_texml_callback": texml_callback.decode,
    "telnyx_call_event": call_event.decode,
    "telnyx_webhook_delivery": webhook_delivery.decode,
    "twilio_debugger": twilio_error_log.debugger,
    "twilio_alert": twilio_error_log.alert,
    "twilio_notification": twilio_error_log.notification,
}
"""The decoder of each source that a raw envelope may name."""
