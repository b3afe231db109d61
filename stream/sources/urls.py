"""What of a URL may be kept: scheme, host and path.

User info and query are where customers put passwords and tokens; the fragment is Twilio's settings of the
connection.
"""

from __future__ import annotations

import re

_LIMIT = 512

_URL = re.compile(r"(https?|wss?)://(?:[^/?#\\\s]*@)?([^/?#@\\\s]+)([^?#\s]*)", re.IGNORECASE)

_CUSTOMERS_ON_TWILIO = ("demo.", "handler.", "webhooks.")
"""Hosts of twilio.com that serve a customer's call flow (TwiML Bins, Studio) rather than an API."""


def bare(url: str) -> str | None:
    """The URL without user info, query and fragment; None where it is no URL of a web server."""
    match = _URL.match(url)
    return None if match is None else f"{match[1]}://{match[2]}{match[3]}"[:_LIMIT]


def is_twilio_api(url: str) -> bool:
    """Whether a logged request went to Twilio (an API request of the customer) and not to the customer."""
    match = _URL.match(url)
    if match is None:
        return False
    host = match[2].partition(":")[0].lower()
    return host.endswith(".twilio.com") and not host.startswith(_CUSTOMERS_ON_TWILIO)
