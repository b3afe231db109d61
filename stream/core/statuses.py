"""The statuses and directions of a call: one vocabulary for all providers, and which status wins.

Twilio's words of statuses are used for every provider. These are tables only.
"""

from __future__ import annotations

STATUSES: tuple[str, ...] = (
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "busy",
    "no-answer",
    "canceled",
    "failed",
    "completed",
)
"""In order of rank: progress first; among terminal statuses of equal authority the later one wins."""

RANK: dict[str, int] = {status: rank for rank, status in enumerate(STATUSES)}

TERMINAL: frozenset[str] = frozenset({"busy", "no-answer", "canceled", "failed", "completed"})

SPELLINGS: dict[str, str] = {
    **{status: status for status in STATUSES},
    "cancelled": "canceled",
    "noanswer": "no-answer",
    "no_answer": "no-answer",
    "fail": "failed",
    "undialed": "canceled",
    "answered": "in-progress",
    "in_progress": "in-progress",
}
"""Every documented spelling of a status (Calls, callbacks, Voice Insights), in lower case."""

NAMES: dict[str, str] = {
    "queued": "queued",
    "initiated": "initiated",
    "ringing": "ringing",
    "in-progress": "answered",
    "completed": "completed",
    "busy": "completed",
    "no-answer": "completed",
    "canceled": "completed",
    "failed": "completed",
}
"""The progress event that carries a status, by the name that one subscribes to. A busy call's last event is
`completed`.
"""

OUTCOMES: dict[str, str] = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}
"""The outcome of a terminal status if nothing more precise is known."""

HANGUPS: dict[str, tuple[str, str]] = {
    "user_busy": ("busy", "busy"),
    "timeout": ("no-answer", "no_answer"),
    "no_answer": ("no-answer", "no_answer"),
    "call_rejected": ("no-answer", "rejected"),
    "originator_cancel": ("canceled", "canceled"),
    "not_found": ("failed", "failed"),
    "unspecified": ("failed", "failed"),
}
"""(status, outcome) by Telnyx' `hangup_cause`, lower case, of a call that was not answered."""

DIRECTIONS: dict[str | None, str] = {
    **dict.fromkeys(("inbound", "incoming", "trunking-originating"), "inbound"),
    **dict.fromkeys(
        ("outbound", "outgoing", "outbound-api", "outbound-dial", "trunking-terminating"), "outbound"
    ),
}
"""The direction by the provider's word. Trunks are named from their own side, calls from the customer's."""

ENDED_NORMALLY: frozenset[str] = frozenset({"normal_clearing", "time_limit"})
"""Telnyx' causes of a normal end: answered if the call was answered, else not answered."""


def status_of(word: str | None) -> str | None:
    """The status of a provider's spelling, None for an unknown or missing one. Case does not matter."""
    if word is None:
        return None
    known = SPELLINGS.get(word)
    return known if known is not None else SPELLINGS.get(word.strip().lower())


def hangup(cause: str | None, sip_response_code: int | None, *, answered: bool) -> tuple[str, str]:
    """(status, outcome) of a Telnyx hangup.

    An answered call is `answered`, whatever the cause (E.411 counts the answer, not the release cause).
    A cause that is not in the tables is a failure if the SIP code is 400 or above, else `unknown`.
    """
    if answered:
        return "completed", "answered"
    if cause in ENDED_NORMALLY:
        return "no-answer", "no_answer"
    known = HANGUPS.get(cause or "")
    if known is not None:
        return known
    if sip_response_code is not None and sip_response_code >= 400:
        return "failed", "failed"
    return "completed", "unknown"
