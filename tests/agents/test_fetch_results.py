"""The reads that a call's end requests, and the effect of their results."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from stream.core.call.state import load
from stream.core.fetches import request_id
from stream.core.sources import SOURCES
from stream.engine.batch import Output
from tests.agents.batches import KEY, POLLED, TOPICS, Lane, a_tick, record, records, to
from tests.core.deliveries import ACCOUNT, TWILIO_KEY, Delivery, answered_call, at, fetched


def test_an_end_asks_for_the_resource_and_its_result_is_the_calls_next_step() -> None:
    lane = Lane(POLLED)
    (asked,) = to(TOPICS.fetches, lane.run(records(answered_call())))
    assert asked.output == Output(KEY, asked.output.value, (), f"twilio:{ACCOUNT}".encode())
    assert asked.json == {
        "v": 1,
        "id": request_id(TWILIO_KEY, "twilio_call", None, "ended", 1),
        "key": TWILIO_KEY,
        "account": ACCOUNT,
        "source": "twilio_call",
        "edge": None,
        "reason": "ended",
        "due_at": at(55),
        "attempt": 1,
        "priority": "heal",
    }
    assert lane.run([record(fetched(), 7)]) == []
    assert load(lane.states[KEY]).complete == 1 << SOURCES.index("twilio_call")
    (again,) = to(TOPICS.fetches, lane.run([a_tick(150, 8)]))
    assert (again.json["source"], again.json["edge"]) == ("twilio_insights_event", "carrier_edge")
    assert lane.counted("fetches_requested_total", source="twilio_call", reason="ended") == 1
    assert lane.counted("fetches_answered_total", source="twilio_call", outcome="success") == 1


def test_a_result_is_not_a_delivery_of_a_provider() -> None:
    lane = Lane(POLLED)
    lane.run(records([*answered_call(), fetched()]))
    assert load(lane.states[KEY]).arrival.deliveries == 4
    assert lane.counted("events_processed_total", source="unknown", result="applied") == 0


def test_a_result_for_a_call_that_has_left_the_table_makes_none() -> None:
    lane = Lane(POLLED)
    assert lane.run([record(fetched(), 7)]) == []
    assert lane.states == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": "twilio:another"}, b"key_mismatch"),
        ({"source": "nothing"}, b"invalid_field"),
        ({"outcome": "perhaps"}, b"invalid_field"),
        ({"attempt": "one"}, b"invalid_field"),
        ({"content": "-1"}, b"invalid_field"),
    ],
)
def test_a_result_that_cannot_be_read_is_a_dead_letter(change: dict[str, Any], reason: bytes) -> None:
    lane = Lane(POLLED)
    odd = orjson.loads(fetched().value)
    odd["body"] |= change
    (letter,) = lane.run([record(Delivery(TWILIO_KEY, orjson.dumps(odd)), 7)])
    assert (letter.topic, dict(letter.output.headers)["reason"]) == (TOPICS.dead_letters, reason)


def test_a_result_whose_content_no_state_can_hold_costs_only_itself() -> None:
    lane = Lane(POLLED)
    lane.run(records(answered_call()))
    odd = orjson.loads(fetched(complete=False).value)
    odd["body"]["content"] = "f" * 17
    (letter,) = lane.run([record(Delivery(TWILIO_KEY, orjson.dumps(odd)), 7)])
    assert (letter.topic, dict(letter.output.headers)["reason"]) == (TOPICS.dead_letters, b"invalid_field")
