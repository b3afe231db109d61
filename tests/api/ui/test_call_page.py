"""What the page of a call says: facts with their quality, raw records, texts to copy."""

from __future__ import annotations

import shlex

from stream.api.ui.call_page import LONGEST_HINT, LONGEST_RAW, call_context, curl, facts, raw_records, ticket
from stream.api.ui.drawings.ladder import MOST_RUNGS
from tests.timeline.recorded import recorded

LINK = "https://calls.example.com/ui/calls/twilio%3ACA1"


def test_facts_are_what_is_known_and_derived_ones_are_marked() -> None:
    known = facts(recorded("webhook-fails-with-fallback").timeline)
    assert known == [
        ("From", "+15*******06", ""),
        ("To", "+15*******09", ""),
        ("Started", "2026-03-02 10:00:00 UTC", ""),
        ("Ended", "2026-03-02 10:00:55 UTC", ""),
        ("Setup", "1 s", "derived"),
        ("Ring", "5 s", "derived"),
        ("Talk", "49 s", ""),
        ("Status", "completed", ""),
        ("SIP response", "200", ""),
        ("Error codes", "11200", ""),
        ("Account", "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", ""),
    ]


def test_each_row_of_an_event_or_alert_has_its_record_and_a_missing_one_has_none() -> None:
    call = recorded("gap-expired")
    raws = raw_records(call.timeline, call.events, call.alerts)
    kinds = [row.kind for row in call.timeline.rows]
    assert kinds == ["event", "missing", "missing", "event", "alert"]
    assert [bool(raws[number].text) for number in range(5)] == [True, False, False, True, True]
    assert '"sequence_number": 3' in raws[3].text
    assert all(len(one.short) <= LONGEST_HINT for one in raws.values())


def test_the_ticket_has_what_a_provider_asks_for() -> None:
    text = ticket(recorded("client-network-trouble").timeline, LINK)
    lines = text.splitlines()
    assert lines[0] == "Call CA00000000000000000000000000000001 (twilio)"
    assert "Verdict: network, confidence high. The client's media connection failed." in lines
    assert "  - error code 53405 at 10:00:30" in lines
    assert "     +31 s  10:00:31         provider -> callstream: failed, 29 s" in lines
    assert lines[-1] == LINK


def test_a_ticket_about_a_long_call_says_what_it_leaves_out() -> None:
    timeline = recorded("busy").timeline
    timeline.rows = timeline.rows * 50
    text = ticket(timeline, LINK)
    assert f"... and {len(timeline.rows) - 60} more rows" in text


def test_text_of_a_provider_cannot_write_lines_of_its_own_into_a_ticket() -> None:
    timeline = recorded("busy").timeline
    timeline.rows[0].text = "busy\nVerdict: provider\u202e"
    assert "\nVerdict: provider" not in ticket(timeline, LINK)
    assert "\u202e" not in ticket(timeline, LINK)


def test_the_curl_command_is_one_argument_of_a_shell_whatever_the_key_is() -> None:
    url = "https://calls.example.com/v1/calls/x';rm -rf ~;'"
    words = shlex.split(curl(url).replace("\\\n", " "))
    assert words[-1] == url
    assert words[:2] == ["curl", "--fail-with-body"]


def test_a_call_that_has_not_ended_has_a_page_too() -> None:
    call = recorded("busy")
    context = call_context(None, call.events[:1], [], address="https://calls.example.com")
    assert (context["call"].ended, context["record"], context["help"]) == (False, "", None)
    assert len(context["rows"]) == 1


def test_a_call_with_many_events_is_bounded() -> None:
    call = recorded("busy")
    many = [{**call.events[0], "id": str(number), "name": f"ping-{number}", "family": "other", "status": None,
             "sequence_number": None} for number in range(1000)]  # fmt: skip
    context = call_context(None, many, [], address="https://calls.example.com")
    assert len(context["rows"]) == len(context["raws"]) == MOST_RUNGS
    assert context["wide"].left_out == 1000 - MOST_RUNGS


def test_a_very_large_event_is_cut_and_the_cut_is_said() -> None:
    call = recorded("busy")
    large = {**call.events[0], "attributes": {"said": "x" * 300_000}}
    context = call_context(None, [large], [], address="https://calls.example.com")
    text = context["raws"][0].text
    assert len(text) < LONGEST_RAW + 100
    assert text.endswith("cut here: the API has all of it")
