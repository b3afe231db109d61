"""The providers' REST resources, one file a resource. Pure."""

from __future__ import annotations

from stream.poller.resources import (
    telnyx_call_events,
    telnyx_webhook_deliveries,
    twilio_call_events,
    twilio_call_summary,
    twilio_calls,
    twilio_insights_events,
)
from stream.poller.resources.resource import Resource

RESOURCES: dict[str, Resource] = {
    one.RESOURCE.source: one.RESOURCE
    for one in (
        twilio_calls,
        twilio_call_events,
        twilio_insights_events,
        twilio_call_summary,
        telnyx_call_events,
        telnyx_webhook_deliveries,
    )
}
"""The resource of each source that is polled."""
