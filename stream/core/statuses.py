"""The words for where a call stands: one vocabulary, and which word wins.

Twilio's words serve for every provider. Nothing here knows a call: it is tables that can be checked with a
finger.
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
"""In order of rank: a later one is further on; the terminal ones are ordered for a tie of equal authority."""

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
"""Every documented spelling of a status (Calls, callbacks, Voice Insights), lower case, to the one word."""

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
"""The progress event that carries a status: what one subscribes to. A busy call's last event is
`completed`.
"""

OUTCOMES: dict[str, str] = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}
"""The outcome that a terminal status means where nothing more precise is known."""

HANGUPS: dict[str, tuple[str, str]] = {
    "user_busy": ("busy", "busy"),
    "timeout": ("no-answer", "no_answer"),
    "no_answer": ("no-answer", "no_answer"),
    "call_rejected": ("no-answer", "rejected"),
    "originator_cancel": ("canceled", "canceled"),
    "not_found": ("failed", "failed"),
    "unspecified": ("failed", "failed"),
}
"""Telnyx' `hangup_cause`, lower case, of a call that was not answered: (status, outcome)."""

ENDED_NORMALLY: frozenset[str] = frozenset({"normal_clearing", "time_limit"})
"""Telnyx' causes that mean a talk if the call was answered, and an unanswered call if it was not."""


def status_of(word: str | None) -> str | None:
    """The one word for a provider's status, None for an unknown or missing one. Case does not matter."""
    if word is None:
        return None
    known = SPELLINGS.get(word)
    return known if known is not None else SPELLINGS.get(word.strip().lower())


def hangup(cause: str | None, sip_response_code: int | None, *, answered: bool) -> tuple[str, str]:
    """(status, outcome) of a call that Telnyx says was hung up.

    An answered call is `answered` whatever ended it (E.411 counts the answer, not the release cause).
    A cause that the tables do not know is a failure where the SIP code says so (400 and above), else
    `unknown`.
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
