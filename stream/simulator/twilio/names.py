"""Twilio's spellings: which event carries a status, and how the request log rewrites a parameter's name."""

from __future__ import annotations

from functools import cache

NAME_OF = {
    "initiated": "initiated",
    "ringing": "ringing",
    "in-progress": "answered",
    "completed": "completed",
    "busy": "completed",
    "no-answer": "completed",
    "canceled": "completed",
    "failed": "completed",
}
"""The event that one subscribes to, by the status that its callback carries (Twilio, Call resource)."""


@cache
def snake_case(name: str) -> str:
    """`SipResponseCode` as the request log writes it: `sip_response_code`."""
    return "".join("_" + c.lower() if c.isupper() and at else c.lower() for at, c in enumerate(name))
