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

READ = orjson.loads(fetched().value)["body"]["reads"][0]


def of_version_1(result: Delivery) -> Delivery:
    """The result of a request with one read, as a poller of an earlier build wrote it."""
    envelope = orjson.loads(result.value)
    (read,) = envelope["body"].pop("reads")
    envelope["body"] |= read
    return Delivery(result.key, orjson.dumps(envelope))


@pytest.mark.parametrize("result", [fetched(), of_version_1(fetched())], ids=["now", "version 1"])
def test_an_end_asks_for_the_resource_and_its_result_is_the_calls_next_step(result: Delivery) -> None:
    lane = Lane(POLLED)
    (asked,) = to(TOPICS.fetches, lane.run(records(answered_call())))
    assert asked.output == Output(KEY, asked.output.value, (), f"twilio:{ACCOUNT}".encode())
    assert asked.json == {
        "v": 2,
        "id": request_id(TWILIO_KEY, at(55), "ended", 1),
        "key": TWILIO_KEY,
        "account": ACCOUNT,
        "reads": [{"source": "twilio_call", "edge": None, "content": None}],
        "reason": "ended",
        "due_at": at(55),
        "attempt": 1,
        "priority": "heal",
    }
    assert lane.run([record(result, 7)]) == []
    assert load(lane.states[KEY]).complete == 1 << SOURCES.index("twilio_call")
    (again,) = to(TOPICS.fetches, lane.run([a_tick(150, 8)]))
    assert again.json["reads"] == [
        {"source": "twilio_insights_event", "edge": "carrier_edge", "content": None}
    ]
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
        ({"attempt": "one"}, b"invalid_field"),
        ({"reads": [READ | {"source": "nothing"}]}, b"invalid_field"),
        ({"reads": [READ, READ | {"outcome": "perhaps"}]}, b"invalid_field"),
        ({"reads": [READ | {"content": "-1"}]}, b"invalid_field"),
        ({"reads": None}, b"invalid_field"),
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
    odd["body"]["reads"][0]["content"] = "f" * 17
    (letter,) = lane.run([record(Delivery(TWILIO_KEY, orjson.dumps(odd)), 7)])
    assert (letter.topic, dict(letter.output.headers)["reason"]) == (TOPICS.dead_letters, b"invalid_field")
