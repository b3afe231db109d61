"""Decoders, one file a source: from a raw envelope's body to readings of events.

A decoder is pure and may modify the envelope's body. It raises only `DecodeError`, if a delivery cannot be
read; a field that is merely odd is read as null, and its raw value stays in the event's `attributes`.
The first reading is the delivery's own event; the others are sightings of events inside it.
"""

from __future__ import annotations

from collections.abc import Callable

from stream.core.events import Envelope, Reading
from stream.sources.telnyx import texml_callback, webhook, webhook_delivery
from stream.sources.telnyx.call_event import decode as telnyx_call_event
from stream.sources.twilio import (
    call,
    call_event,
    call_summary,
    error_log,
    event_stream,
    insights_event,
    status_callback,
)
from stream.sources.twilio.forms import amd, conference, other, recording

Decoder = Callable[[Envelope], list[Reading]]

DECODERS: dict[str, Decoder] = {
    "twilio_status_callback": status_callback.decode,
    "twilio_recording_callback": recording.decode,
    "twilio_amd_callback": amd.decode,
    "twilio_conference_callback": conference.decode,
    "twilio_other_callback": other.decode,
    "twilio_event_stream": event_stream.decode,
    "twilio_call": call.decode,
    "twilio_call_event": call_event.decode,
    "twilio_insights_event": insights_event.decode,
    "twilio_call_summary": call_summary.decode,
    "telnyx_webhook": webhook.decode,
    "telnyx_texml_callback": texml_callback.decode,
    "telnyx_call_event": telnyx_call_event,
    "telnyx_webhook_delivery": webhook_delivery.decode,
    "twilio_debugger": error_log.debugger,
    "twilio_alert": error_log.alert,
    "twilio_notification": error_log.notification,
}
"""The decoder of each source that a raw envelope may name."""
