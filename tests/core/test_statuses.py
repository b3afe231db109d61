"""The statuses of a call."""

from __future__ import annotations

import pytest

from stream.core.statuses import (
    HANGUPS,
    NAMES,
    OUTCOMES,
    RANK,
    SPELLINGS,
    STATUSES,
    TERMINAL,
    hangup,
    status_of,
)


def test_every_status_has_a_rank_an_event_name_and_if_terminal_an_outcome() -> None:
    assert set(STATUSES) == set(RANK) == set(NAMES)
    assert set(OUTCOMES) == TERMINAL


def test_a_call_goes_from_queued_to_its_end_and_completed_outranks_other_ends() -> None:
    assert sorted(STATUSES, key=RANK.__getitem__) == [
        "queued",
        "initiated",
        "ringing",
        "in-progress",
        "busy",
        "no-answer",
        "canceled",
        "failed",
        "completed",
    ]


def test_the_last_event_of_any_call_is_named_completed() -> None:
    assert {NAMES[status] for status in TERMINAL} == {"completed"}
    assert NAMES["in-progress"] == "answered"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("completed", "completed"),
        ("cancelled", "canceled"),
        ("noanswer", "no-answer"),
        ("fail", "failed"),
        ("undialed", "canceled"),
        ("answered", "in-progress"),
        ("BUSY", "busy"),
        (" Ringing ", "ringing"),
        ("teleported", None),
        ("", None),
        (None, None),
    ],
)
def test_every_spelling_of_a_status_is_the_one_word(word: str | None, status: str | None) -> None:
    """Case 60."""
    assert status_of(word) == status


def test_spellings_lead_to_statuses_only() -> None:
    assert set(SPELLINGS.values()) == set(STATUSES)


@pytest.mark.parametrize(
    ("cause", "sip", "answered", "meaning"),
    [
        ("normal_clearing", 200, True, ("completed", "answered")),
        ("normal_clearing", None, False, ("no-answer", "no_answer")),
        ("time_limit", None, True, ("completed", "answered")),
        ("user_busy", 486, False, ("busy", "busy")),
        ("timeout", None, False, ("no-answer", "no_answer")),
        ("no_answer", 487, False, ("no-answer", "no_answer")),
        ("call_rejected", 603, False, ("no-answer", "rejected")),
        ("originator_cancel", 487, False, ("canceled", "canceled")),
        ("not_found", 404, False, ("failed", "failed")),
        ("unspecified", None, False, ("failed", "failed")),
        ("gone_fishing", 503, False, ("failed", "failed")),
        ("gone_fishing", 302, False, ("completed", "unknown")),
        ("gone_fishing", None, False, ("completed", "unknown")),
        (None, None, False, ("completed", "unknown")),
        ("unspecified", 500, True, ("completed", "answered")),
    ],
)
def test_a_hangup_means_what_its_cause_its_sip_code_and_the_answer_say(
    cause: str | None, sip: int | None, answered: bool, meaning: tuple[str, str]
) -> None:
    """Cases 37, 38: a cause alone does not prove an answer."""
    assert hangup(cause, sip, answered=answered) == meaning


def test_busy_no_answer_and_canceled_are_not_failed() -> None:
    """Case 10."""
    assert {status for status in TERMINAL if OUTCOMES[status] == "failed"} == {"failed"}
    assert {cause for cause, (status, _) in HANGUPS.items() if status == "failed"} == {
        "not_found",
        "unspecified",
    }
