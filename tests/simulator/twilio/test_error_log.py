"""From all sources, an entry of the error log is one event: what is told is what a decoder reads."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from stream.core.events import Reading
from stream.kafka.envelope_codec import read_envelope, write_envelope
from stream.simulator.calls.call import ProviderReport
from stream.simulator.calls.options import ERROR_SOURCES, EVENT_STREAM, Options
from stream.simulator.twilio.call import LISTED, TwilioCall
from stream.simulator.twilio.error_log import CALLBACK_REFUSED, NOT_FETCHED, NOT_REACHED, logged_errors
from stream.simulator.twilio.request_log import ANSWER_URL, API_URL, STATUS_URL, TIMEOUT, LoggedRequest
from stream.sources import DECODERS
from tests.simulator.rest.fake_calls import first_leg

ALL_FAIL = Options(failing_webhooks=1.0, sources=ERROR_SOURCES | {EVENT_STREAM})


def failing_call(number: int = 3) -> TwilioCall:
    leg = first_leg(lambda leg: leg.direction == "outbound-api" and leg.talk_s > 0)
    return TwilioCall(random.Random(number), "AC" + "0" * 32, leg, None, ALL_FAIL)


def reading(call: TwilioCall, source: str, number: int, attempt: int = 1) -> Reading:
    body = call.body(ProviderReport(source, number, 0), attempt)
    value = write_envelope(
        source,
        orjson.Fragment(orjson.dumps(body)),
        received_us=call.leg.ended_us + 60_000_000,
        account=call.account,
        endpoint=call.endpoint(source),
        delivery={"token": None, "attempt": None, "query": None, "verified": True},
        ordinal=0,
    )
    (found,) = DECODERS[source](read_envelope(value))
    return found


def test_each_telling_of_a_failure_is_the_same_event() -> None:
    call = failing_call()
    assert len(call.errors) >= 3
    for number, entry in enumerate(call.errors):
        found = [reading(call, source, number) for source in sorted(ERROR_SOURCES | {EVENT_STREAM})]
        found.append(reading(call, "twilio_alert", number, LISTED))
        assert {(one.identity_rule, *one.parts) for one in found} == {("2", entry.sid)}
        assert {
            (one.event.key, one.event.family, one.event.name, one.event.error_code, one.event.status)
            for one in found
        } == {(call.key, "other", "error_logged", entry.code, None)}
        assert {one.event.level for one in found} == {entry.level}
        assert {abs((one.occurred_us or 0) - entry.at_us) < 1_000_000 for one in found} == {True}


@pytest.mark.parametrize(
    ("url", "step", "answer", "told"),
    [
        (ANSWER_URL, None, 502, (NOT_FETCHED, "error")),
        (ANSWER_URL, None, TIMEOUT, (NOT_FETCHED, "error")),
        (ANSWER_URL, None, 0, (NOT_REACHED, "error")),
        (STATUS_URL, 1, 404, (CALLBACK_REFUSED, "warning")),
        (STATUS_URL, 1, 0, (NOT_REACHED, "error")),
        (STATUS_URL, 1, TIMEOUT, (NOT_FETCHED, "error")),
        (STATUS_URL, 1, 204, None),
        (API_URL.format(account="AC1"), None, 429, None),
    ],
)
def test_only_what_the_application_failed_is_an_entry(
    url: str, step: int | None, answer: int, told: tuple[str, str] | None
) -> None:
    found = logged_errors("CA1", [LoggedRequest(url, step, "ringing", 1_000_000, answer, 20)])
    assert [(one.code, one.level) for one in found] == ([] if told is None else [told])
    assert [one.at_us for one in found] == ([] if told is None else [1_020_000])


def test_the_debuggers_form_is_as_documented() -> None:
    call = failing_call()
    number = next(n for n, entry in enumerate(call.errors) if entry.code == CALLBACK_REFUSED)
    form = call.body(ProviderReport("twilio_debugger", number, 0), 1)
    payload: dict[str, Any] = orjson.loads(form.pop("Payload"))
    assert {**form, "Sid": form["Sid"][:2], "Timestamp": form["Timestamp"][-1:]} == {
        "AccountSid": call.account,
        "ParentAccountSid": "",
        "Level": "WARNING",
        "PayloadType": "application/json",
        "Sid": "NO",
        "Timestamp": "Z",
    }
    assert len(form["Sid"]) == 34
    assert set(payload) == {"resource_sid", "service_sid", "error_code", "more_info", "webhook"}
    assert payload["resource_sid"] == call.id == payload["webhook"]["request"]["parameters"]["CallSid"]
    assert payload["webhook"]["response"]["status_code"] >= 400
    assert "url" not in payload["more_info"], "of a refused callback only this names it:"
    assert payload["more_info"]["statusCallback"] == payload["webhook"]["request"]["url"]


def test_a_listed_alert_lacks_the_request_and_its_answer() -> None:
    call = failing_call()
    listed, single = (call.body(ProviderReport("twilio_alert", 0, 0), attempt) for attempt in (LISTED, 1))
    added = {"request_variables", "request_headers", "response_headers", "response_body"}
    assert set(single) - set(listed) == added
    assert listed.items() <= single.items()


def test_an_entry_keeps_its_sid_and_two_failures_have_two() -> None:
    assert failing_call().errors == failing_call().errors
    sids = [entry.sid for number in range(20) for entry in failing_call(number).errors]
    assert len(set(sids)) == len(sids)


def test_the_debugger_tells_a_second_after_the_failure() -> None:
    call = failing_call()
    sent = {r.number: r.at_us for r in call.reports() if r.source == "twilio_debugger"}
    assert {sent[n] - entry.at_us for n, entry in enumerate(call.errors)} == {1_000_000}
