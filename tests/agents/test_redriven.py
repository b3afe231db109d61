"""A dead letter that is written back is applied as if nothing had failed; a repetition changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core.events import Envelope, Reading
from stream.kafka.dead_letters.letter import StoredLetter, read_letter
from stream.kafka.dead_letters.redrive import redriven_output
from stream.sources import DECODERS
from tests.agents.batches import TOPICS, Fetched, Lane, Written, a_tick, records, to
from tests.core.deliveries import answered_call


def written_back(one: Written, offset: int) -> Fetched:
    """The record of a dead letter as the worker fetches it again."""
    output = one.output
    letter = read_letter(Fetched(TOPICS.dead_letters, 5, output.key, output.value, list(output.headers)))
    assert isinstance(letter, StoredLetter)
    again = redriven_output(letter)
    assert letter.why["source_topic"] == TOPICS.callbacks
    return Fetched(TOPICS.callbacks, offset, again.key, again.value, again.headers)


def last_record(some: list[Written]) -> dict[str, Any]:
    told = to(TOPICS.ended, some)[-1].json
    arrival = ("id", "revision", "arrival", "updated_at")
    return {name: value for name, value in told.items() if name not in arrival}


def test_a_letter_written_back_twice_is_one_event_and_leaves_the_call_as_it_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fed = records(answered_call())
    right = DECODERS["twilio_status_callback"]
    expected, lane = Lane(), Lane()
    usual = expected.run(fed)

    def decode(said: Envelope) -> list[Reading]:
        if said.body["CallStatus"] == "in-progress":
            raise ZeroDivisionError
        return right(said)

    monkeypatch.setitem(DECODERS, "twilio_status_callback", decode)
    first = lane.run(fed)
    (letter,) = to(TOPICS.dead_letters, first)
    again = lane.run([written_back(letter, 100)])
    (second,) = to(TOPICS.dead_letters, again)
    assert (second.output.key, second.output.value) == (letter.output.key, letter.output.value)

    monkeypatch.setitem(DECODERS, "twilio_status_callback", right)
    healed = lane.run([written_back(second, 101)])
    repeated = lane.run([written_back(second, 102), written_back(letter, 103)])
    told = {one.json["id"] for one in to(TOPICS.events, [*first, *healed])}
    assert told == {one.json["id"] for one in to(TOPICS.events, usual)}
    assert len(to(TOPICS.events, healed)) == 1
    assert repeated == []
    source = {"source": "twilio_status_callback"}
    assert lane.counted("events_deduplicated_total", **source, match="sequence_number") == 2
    usual_end, end = expected.run([a_tick(120, 0)]), lane.run([a_tick(120, 0)])
    assert last_record([*first, *healed, *end]) == last_record([*usual, *usual_end])
