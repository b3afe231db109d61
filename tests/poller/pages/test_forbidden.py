"""A forbidden resource is not read, and the others of its account are."""

from __future__ import annotations

from stream.poller.pages.forbidden import ForbiddenResources
from tests.poller.asked import TELNYX, TWILIO

CALL, INSIGHTS = "twilio_call", "twilio_insights_event"


def forbidden() -> ForbiddenResources:
    found = ForbiddenResources()
    found.report(TWILIO, INSIGHTS, 0, "auth_error", 0.0, forbidden=True)
    return found


def test_only_the_forbidden_resource_is_not_read() -> None:
    found = forbidden()
    assert found.try_read(TWILIO, INSIGHTS, 29.0) is None
    assert found.try_read(TWILIO, CALL, 29.0) == 0
    assert found.try_read(TELNYX, INSIGHTS, 29.0) == 0
    assert (found.sources(TWILIO), found.sources(TELNYX)) == ([INSIGHTS], [])


def test_it_is_tried_by_one_read_at_a_time_and_less_and_less_often() -> None:
    found, now_s, tried = forbidden(), 0.0, []
    for _ in range(6):
        while (number := found.try_read(TWILIO, INSIGHTS, now_s)) is None:
            now_s += 1.0
        tried.append(now_s)
        assert found.try_read(TWILIO, INSIGHTS, now_s) is None
        found.report(TWILIO, INSIGHTS, number, "auth_error", now_s, forbidden=True)
    assert [b - a for a, b in zip([0.0, *tried], tried, strict=False)] == [30, 60, 120, 240, 480, 600]


def test_an_answer_ends_it_and_an_inconclusive_outcome_does_not() -> None:
    found = forbidden()
    number = found.try_read(TWILIO, INSIGHTS, 30.0)
    assert number is not None
    found.report(TWILIO, INSIGHTS, number, "network_error", 31.0, forbidden=False)
    assert found.try_read(TWILIO, INSIGHTS, 60.0) is None
    number = found.try_read(TWILIO, INSIGHTS, 61.0)
    assert number is not None
    found.report(TWILIO, INSIGHTS, number, "empty", 62.0, forbidden=False)
    assert found.sources(TWILIO) == []
    assert found.try_read(TWILIO, INSIGHTS, 62.0) == 0


def test_refused_credentials_of_the_account_do_not_end_it() -> None:
    found = forbidden()
    number = found.try_read(TWILIO, INSIGHTS, 30.0)
    assert number is not None
    found.report(TWILIO, INSIGHTS, number, "auth_error", 31.0)
    assert (found.try_read(TWILIO, INSIGHTS, 60.0), found.sources(TWILIO)) == (None, [INSIGHTS])


def test_a_cancelled_read_leaves_its_probe_to_the_next() -> None:
    found = forbidden()
    number = found.try_read(TWILIO, INSIGHTS, 30.0)
    assert number is not None
    found.report(TWILIO, INSIGHTS, number, None, 30.0)
    assert found.try_read(TWILIO, INSIGHTS, 30.0) is not None


def test_the_outcome_of_the_refusal_is_known_while_it_lasts() -> None:
    found = forbidden()
    assert found.outcome(TWILIO, INSIGHTS) == "auth_error"
    number = found.try_read(TWILIO, INSIGHTS, 30.0)
    assert number is not None
    found.report(TWILIO, INSIGHTS, number, "not_found", 30.0, forbidden=True)
    assert (found.outcome(TWILIO, INSIGHTS), found.try_read(TWILIO, INSIGHTS, 89.0)) == ("not_found", None)
