"""PagerDuty, by its Events API v2: an incident for each condition, and one for all facts of a group.

A later event with the same `dedup_key` belongs to the same incident; `resolve` closes it.
https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import orjson

from stream.notify.alert import example
from stream.notify.grouping import Notification
from stream.notify.sinks.sink import SinkRequest
from stream.notify.wording import counts, headline, place
from stream.service.tables.notify_tables import PAGERDUTY_URL, SinkSetting

SUMMARY_LIMIT = 1024
"""Characters of `payload.summary`."""

WRONG_KEY = ("routing_key", "routing key")
"""A key of another product, or of a removed integration, is answered like an event that is wrong."""


def request(sink: SinkSetting, told: Notification) -> SinkRequest | None:
    """None of an end while others of its group fire: a trigger opens an incident that somebody has closed."""
    if told.tells_of_an_end and told.state == "firing":
        return None
    event = {
        "routing_key": sink.secret,
        "event_action": "trigger" if told.state == "firing" else "resolve",
        "dedup_key": told.group.key,
        "client": "callstream",
        "payload": {
            "summary": headline(told)[:SUMMARY_LIMIT],
            "source": f"callstream, {place(told.group)}",
            "severity": told.severity,  # critical, warning and info are words of PagerDuty, too
            "timestamp": told.updated_at,
            "component": told.group.scope or told.group.provider,
            "group": told.group.account or told.group.provider,
            "class": told.group.rule,
            "custom_details": {
                "counts": counts(told),
                "since": told.starts_at,
                "examples": [example(one) for one in told.alerts],
            },
        },
        "links": [
            {"href": url, "text": name.replace("_", " ")} for name, url in told.alerts[0].web_links.items()
        ],
    }
    return SinkRequest(sink.url or PAGERDUTY_URL, orjson.dumps(event), wrong_key=WRONG_KEY)
