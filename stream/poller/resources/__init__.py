"""The providers' REST resources: their URLs and the parsing of their pages. Pure."""

from __future__ import annotations

from stream.poller.resources import telnyx, twilio, twilio_errors
from stream.poller.resources.resource import Resource

RESOURCES: dict[str, Resource] = {
    resource.source: resource
    for resource in (
        twilio.CALLS,
        twilio.CALL_EVENTS,
        twilio.INSIGHTS_EVENTS,
        twilio.CALL_SUMMARY,
        telnyx.CALL_EVENTS,
        telnyx.WEBHOOK_DELIVERIES,
        twilio_errors.ALERTS,
        twilio_errors.NOTIFICATIONS,
    )
}
"""The resource of each polled source."""
