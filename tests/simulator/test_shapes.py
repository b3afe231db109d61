"""Numbers and texts look like the providers'."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest

from stream.simulator.calls.options import Options
from stream.simulator.calls.planted import planted_for
from stream.simulator.traffic import Traffic

SIP_OF = {
    "completed": {"200", None},
    "busy": {"486", "600"},
    "no-answer": {"480", "487", "603"},
    "canceled": {"487"},
    "failed": {"403", "404", "484", "488", "500", "502", "503", None},
}


@pytest.fixture(scope="module")
def envelopes() -> list[dict[str, Any]]:
    traffic = Traffic(Options(calls=800, failed=0.2, start_us=1_760_000_000_000_000), with_expected=False)
    return [orjson.loads(record.value) for record in traffic]


def bodies(envelopes: list[dict[str, Any]], source: str) -> list[dict[str, Any]]:
    found = [envelope["body"] for envelope in envelopes if envelope["source"] == source]
    assert found
    return found


def test_an_envelope_has_all_its_fields(envelopes: list[dict[str, Any]]) -> None:
    for envelope in envelopes:
        fields = {"v", "source", "received_at", "account", "endpoint", "delivery", "body"}
        assert set(envelope) - {"ordinal"} == fields
        assert set(envelope["delivery"]) == {"token", "attempt", "query", "verified"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", envelope["received_at"])
        assert "?" not in envelope["endpoint"]


def test_a_status_callback_is_a_form_of_texts(envelopes: list[dict[str, Any]]) -> None:
    for body in bodies(envelopes, "twilio_status_callback"):
        assert all(type(value) is str for value in body.values())
        assert 14 <= len(body) <= (26 if planted_for("twilio:" + body["CallSid"]) is None else 50)
        assert re.fullmatch(r"CA[0-9a-f]{32}", body["CallSid"])
        assert re.fullmatch(r"AC[0-9a-f]{32}", body["AccountSid"])
        assert body["CallbackSource"] == "call-progress-events"
        assert re.fullmatch(
            r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", body["Timestamp"]
        )
        assert parsedate_to_datetime(body["Timestamp"]).strftime("%a") == body["Timestamp"][:3]


def test_the_last_callback_alone_has_durations_and_a_sip_code_that_fits(
    envelopes: list[dict[str, Any]],
) -> None:
    seen = set()
    for body in bodies(envelopes, "twilio_status_callback"):
        if body["CallStatus"] not in SIP_OF:
            assert not {"CallDuration", "Duration", "SipResponseCode"} & set(body)
            continue
        seen.add(body["CallStatus"])
        assert body.get("SipResponseCode") in SIP_OF[body["CallStatus"]]
        seconds, minutes = int(body["CallDuration"]), int(body["Duration"])
        assert minutes == (seconds + 59) // 60
        assert body["CallStatus"] == "completed" or seconds == 0
    assert seen == set(SIP_OF)


def test_a_child_leg_names_its_parent_and_a_first_leg_none(envelopes: list[dict[str, Any]]) -> None:
    called = bodies(envelopes, "twilio_status_callback")
    ids = {row["sid"] for row in bodies(envelopes, "twilio_call")}
    for body in called:
        assert ("ParentCallSid" in body) == (body["Direction"] == "outbound-dial")
        assert body.get("ParentCallSid", body["CallSid"]) in ids


def test_a_calls_row_has_a_text_of_seconds_or_null(envelopes: list[dict[str, Any]]) -> None:
    for row in bodies(envelopes, "twilio_call"):
        assert row["status"] in {*SIP_OF, "queued", "in-progress"}
        assert (row["duration"] is not None) == (row["status"] == "completed")
        assert row["price"] is None or re.fullmatch(r"-\d+\.\d{5}", row["price"])
        assert (row["end_time"] is not None) == (row["status"] in SIP_OF)


def test_the_request_log_spells_parameters_in_snake_case_and_fails_in_every_way() -> None:
    options = Options(calls=400, failing_webhooks=0.3, telnyx=0.0, sources=frozenset({"twilio_call_event"}))
    answers = set()
    for record in Traffic(options):
        row = orjson.loads(record.value)["body"]
        parameters = row["request"]["parameters"]
        if planted_for("twilio:" + parameters["call_sid"]) is None:
            assert all(re.fullmatch(r"[a-z_]+", name) for name in parameters)
        response = row["response"]
        answers.add("none" if response is None else response["response_code"] or "timeout")
        if response is not None and response["response_code"] is None:
            assert response["request_duration"] >= 15_000
    assert answers >= {200, 201, 204, 403, 404, 500, 502, 503, "timeout", "none"}


def test_insights_rows_have_levels_edges_and_twins(envelopes: list[dict[str, Any]]) -> None:
    rows = bodies(envelopes, "twilio_insights_event")
    assert {row["level"] for row in rows} == {"INFO", "WARNING", "ERROR", None}
    assert {row["edge"] for row in rows} == {"carrier_edge", "sdk_edge", None}
    assert {e.get("ordinal") for e in envelopes if e["source"] == "twilio_insights_event"} == {0, 1}
    for row in rows:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", row["timestamp"])


def test_a_telnyx_hangup_has_a_cause_and_a_sip_code_that_fits(envelopes: list[dict[str, Any]]) -> None:
    fits = {
        "normal_clearing": {"200", "487", None},
        "time_limit": {"200"},
        "user_busy": {"486", "600"},
        "timeout": {"487"},
        "no_answer": {"480"},
        "call_rejected": {"603"},
        "originator_cancel": {"487"},
        "not_found": {"404"},
        "unspecified": {"403", "484", "488", "500", "502", "503", None},
    }
    causes = set()
    for body in bodies(envelopes, "telnyx_webhook"):
        data = body["data"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", data["id"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", data["occurred_at"])
        if data["event_type"] == "call.hangup":
            cause = data["payload"]["hangup_cause"]
            causes.add(cause)
            assert data["payload"].get("sip_hangup_cause") in fits[cause]
    assert causes == set(fits)


def test_telnyx_log_has_commands_and_webhooks_and_some_that_were_not_delivered(
    envelopes: list[dict[str, Any]],
) -> None:
    rows = bodies(envelopes, "telnyx_call_event")
    assert {row["type"] for row in rows} == {"command", "webhook"}
    webhooks = [row for row in rows if row["type"] == "webhook"]
    assert {row["metadata"]["status"] for row in webhooks} == {"delivered", "failed"}
    assert all(row["metadata"]["event"]["event_type"] == row["name"] for row in webhooks)


def test_outcomes_come_at_their_shares() -> None:
    ended = {"failed": 0, "completed": 0}
    total = 0
    options = Options(calls=1500, failed=0.2, telnyx=0.0, sources=frozenset({"twilio_status_callback"}))
    for record in Traffic(options, with_expected=False):
        status = orjson.loads(record.value)["body"]["CallStatus"]
        if status in SIP_OF:
            total += 1
            if status in ended:
                ended[status] += 1
    assert total == 1500
    # The caller's leg of a dialled call is always answered.
    assert ended["failed"] / total == pytest.approx(0.2 * 0.8, rel=0.2)
    assert 0.5 < ended["completed"] / total < 0.75
