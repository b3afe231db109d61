"""A summary looks like Voice Insights', and its partial one is full of fillers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stream.simulator.calls.options import Options
from stream.simulator.traffic import Traffic
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.voice_insights import COMPLETE, PARTIAL, summary_row
from tests.simulator.fake_poller import START_US, Clock

FIELDS = {
    *("account_sid", "call_sid", "call_type", "call_state", "processing_state", "created_time", "start_time"),
    *("end_time", "duration", "connect_duration", "from", "to", "carrier_edge", "client_edge", "sdk_edge"),
    *("sip_edge", "tags", "attributes", "properties", "trust", "annotation", "answered_by", "url"),
}
STATES = {
    "completed": {"completed"},
    "busy": {"busy"},
    "no-answer": {"noanswer"},
    "failed": {"fail"},
    "canceled": {"canceled", "undialed"},
}


@pytest.fixture(scope="module")
def calls() -> list[TwilioCall]:
    options = Options(calls=400, telnyx=0.0, failed=0.2, served=True, start_us=START_US)
    traffic = Traffic(options, now_us=Clock())
    for _ in traffic.outgoing():
        pass
    assert traffic.expected is not None
    return [call for call in traffic.expected.calls if isinstance(call, TwilioCall)]


def rows(calls: list[TwilioCall]) -> Iterator[tuple[TwilioCall, dict[str, Any], dict[str, Any]]]:
    for call in calls:
        yield call, summary_row(call, PARTIAL), summary_row(call, COMPLETE)


def test_it_has_all_its_fields_in_either_state(calls: list[TwilioCall]) -> None:
    for call, partial, complete in rows(calls):
        assert set(partial) == set(complete) == FIELDS
        assert (partial["processing_state"], complete["processing_state"]) == ("partial", "complete")
        assert complete["call_sid"] == call.id


def test_its_states_are_spelled_its_own_way(calls: list[TwilioCall]) -> None:
    seen: dict[str, set[str]] = {}
    for call, partial, complete in rows(calls):
        seen.setdefault(call.leg.ending.status, set()).add(complete["call_state"])
        assert partial["call_state"] == complete["call_state"]
    assert seen == STATES


def test_durations_count_from_the_beginning_and_from_the_answer(calls: list[TwilioCall]) -> None:
    for call, _, complete in rows(calls):
        assert complete["duration"] == (call.leg.ended_us - call.leg.began_us) // 1_000_000
        answered = call.leg.answered_us is not None
        assert complete["connect_duration"] == (call.leg.talk_s if answered else None)


def test_what_is_not_known_yet_is_a_filler(calls: list[TwilioCall]) -> None:
    for _, partial, complete in rows(calls):
        properties = partial["properties"]
        assert properties["disconnected_by"] == "unknown_disconnected_by"
        assert properties["realm"] == "unknown_realm"
        assert properties["last_sip_response_num"] == 0
        assert {partial[side]["country_code"] for side in ("from", "to")} == {""}
        assert partial["end_time"] is partial["duration"] is None
        assert complete["properties"]["disconnected_by"] in {"caller", "callee", "unknown"}
        assert set(properties) == set(complete["properties"])


def test_the_type_of_a_call_is_whom_it_reached(calls: list[TwilioCall]) -> None:
    found = {complete["call_type"] for _, _, complete in rows(calls)}
    assert found == {"carrier", "client", "sip"}
    for call, _, complete in rows(calls):
        assert (complete["call_type"] == "client") == call.leg.callee.text.startswith("client:")
