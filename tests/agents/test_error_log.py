"""Entries of the error log that are about no call: passed on and counted, without a state."""

from __future__ import annotations

from tests.agents.batches import TOPICS, Lane, records, to
from tests.core.deliveries import ACCOUNT, answered_call
from tests.core.error_log.tellings import alert, debugger, details, tellings

ACCOUNT_KEY = f"twilio:account:{ACCOUNT}"


def test_an_accounts_entry_is_an_event_that_touches_no_call() -> None:
    lane = Lane()
    about_a_message = debugger(details(call_id="SM1", asked={}), key=ACCOUNT_KEY)
    wrote = lane.run(records([about_a_message, debugger("{", sid="NO2", key=ACCOUNT_KEY)]))
    assert lane.states == {}
    first, second = (one.json for one in to(TOPICS.events, wrote))
    assert (first["key"], first["call_id"], first["error_code"]) == (ACCOUNT_KEY, None, "11200")
    assert (second["error_code"], second["level"]) == (None, "error")
    assert to(TOPICS.alerts, wrote) == to(TOPICS.dead_letters, wrote) == []
    assert lane.counted("error_log_entries_total", level="error", about="unreadable") == 1
    assert lane.counted("error_log_entries_total", level="error", about="other") == 1


def test_all_tellings_of_a_failure_are_counted_once_each_and_alerted_once() -> None:
    lane = Lane()
    wrote = lane.run(records([*answered_call(), *tellings(), *tellings()]))
    assert len([one for one in to(TOPICS.events, wrote) if one.json["name"] == "error_logged"]) == 1
    (told,) = (one.json for one in to(TOPICS.scopes, wrote) if ":endpoint:" in one.json["scope"])
    assert [counts for counts in told["minutes"].values() if "reported" in counts] == [{"reported": 1}]
    assert lane.counted("error_log_entries_total", level="error", about="application") == 1
    again = lane.counted("events_deduplicated_total", source="twilio_alert", match="cross_source")
    assert again == 1


def test_a_wrong_key_is_a_dead_letter() -> None:
    lane = Lane()
    wrong = alert()._replace(key=ACCOUNT_KEY)
    (letter,) = to(TOPICS.dead_letters, lane.run(records([wrong])))
    assert dict(letter.output.headers)["reason"] == b"key_mismatch"
