"""What is entered into a search form becomes a filter, or a sentence that says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.api.ui.fields import ALERT_FIELDS, CALL_FIELDS, Asked, alert_filter, call_filter, read_moment
from stream.archive.questions import AlertFilter, CallFilter

NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
MINE = frozenset({"AC1"})


def test_an_empty_form_asks_for_all_calls_of_the_callers_accounts() -> None:
    asked = Asked(CALL_FIELDS, {"outcome": "", "since": " ", "unheard": "x"}, NOW)
    assert call_filter(asked, MINE) == CallFilter(accounts=MINE)
    assert (asked.wrong, asked.values) == ([], {})


def test_every_field_reaches_the_filter() -> None:
    sent = {
        "since": "2h", "until": "2026-03-02T10:00", "outcome": "failed", "fault": "carrier",
        "status": "failed", "direction": "outbound", "number": " +15005550006 ", "sip_response_code": "503",
        "error_code": "11200", "min_duration_s": "1.5", "max_duration_s": "60", "complete": "no",
        "provider": "twilio",
    }  # fmt: skip
    assert set(sent) == {one.name for one in CALL_FIELDS}
    asked = Asked(CALL_FIELDS, sent, NOW)
    assert call_filter(asked, None) == CallFilter(
        accounts=None,
        provider="twilio",
        since=NOW - timedelta(hours=2),
        until=datetime(2026, 3, 2, 10, tzinfo=UTC),
        status=("failed",),
        outcome=("failed",),
        fault=("carrier",),
        direction="outbound",
        number="+15005550006",
        sip_response_code=503,
        error_code="11200",
        min_duration_s=1.5,
        max_duration_s=60.0,
        complete=False,
    )
    assert asked.wrong == []
    sent = {"state": "firing", "severity": "critical", "rule": "webhook.failing"}
    assert alert_filter(Asked(ALERT_FIELDS, sent, NOW), MINE) == AlertFilter(accounts=MINE, **sent)


def test_what_cannot_be_used_is_said_by_the_fields_title() -> None:
    sent = {"since": "yesterday", "sip_response_code": "4o4", "outcome": "sad", "min_duration_s": "-1"}
    asked = Asked(CALL_FIELDS, sent, NOW)
    call_filter(asked, None)
    assert asked.wrong == [
        "Outcome is not one that can be searched for.",
        "Since must be a time, or how long ago: 2h, 15m, 3d.",
        "SIP code must be a number from 100 to 699.",
        "Talk, at least s must be a number.",
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("15m", NOW - timedelta(minutes=15)),
        ("3 d", NOW - timedelta(days=3)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01 09:30", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01T09:30:05+02:00", datetime(2026, 3, 1, 7, 30, 5, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2026-13-01", None),
        ("99999999h", None),
        ("", None),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, moment: datetime | None) -> None:
    assert read_moment(text, NOW) == moment


@pytest.mark.parametrize("code", ["99", "700", "99999", "0503"])
def test_a_number_that_is_not_a_sip_code_is_refused(code: str) -> None:
    asked = Asked(CALL_FIELDS, {"sip_response_code": code}, NOW)
    assert call_filter(asked, None).sip_response_code is None
    assert asked.wrong == ["SIP code must be a number from 100 to 699."]


@given(st.dictionaries(st.sampled_from([one.name for one in CALL_FIELDS]), st.text(max_size=300)))
def test_whatever_is_sent_is_a_filter_or_is_refused(sent: dict[str, str]) -> None:
    asked = Asked(CALL_FIELDS, sent, NOW)
    wanted = call_filter(asked, MINE)
    assert wanted.accounts == MINE
    assert set(asked.values) <= set(sent)
