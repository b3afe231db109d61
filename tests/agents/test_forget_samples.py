"""A forgotten call leaves the samples of conditions: in the state of their scopes, and in what fires."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from stream.core.alerting.scopes import SAMPLES, Told
from stream.core.effects import CallForgotten, Observed
from stream.engine.batch import EACH
from tests.agents.batches import KEY, TOPICS, Fetched, Lane, Written, a_tick, records, to
from tests.agents.test_forget import a_request
from tests.core.deliveries import START_US, TWILIO_KEY, at, callback

SCOPE = "twilio:endpoint:AC1:https://app.example.com/voice"


def told(second: int, offset: int, *calls: str, times: int = 10) -> Fetched:
    heard_us = START_US + second * 1_000_000
    said = Told(scope=SCOPE, heard_us=heard_us)
    for call in calls:
        for _ in range(times):
            seen = ("answers", "failing")
            said.add(Observed(SCOPE, heard_us, heard_us, seen, (f"twilio:{call}", "answered 502")))
    return Fetched(TOPICS.scopes, offset, SCOPE.encode(), msgspec.json.encode(said))


def forgotten(second: int, offset: int, call: str) -> Fetched:
    value = msgspec.json.encode(CallForgotten(f"twilio:{call}", at(second)))
    return Fetched(TOPICS.scopes, offset, f"twilio:{call}".encode(), value)


def shown(one: Written) -> list[str]:
    return [sample["key"].removeprefix("twilio:") for sample in one.json["samples"]]


@pytest.mark.parametrize("restarted", [False, True])
def test_what_fires_is_written_again_without_it(restarted: bool) -> None:
    lane = Lane()
    (fired,) = to(TOPICS.alerts, lane.run([told(0, 0, "CA1", "CA2")]))
    assert shown(fired) == ["CA1", "CA2"]
    if restarted:
        lane = Lane(states=lane.states)
    some = lane.run([forgotten(9, 1, "CA1")])
    (again,) = to(TOPICS.alerts, some)
    (active,) = to(TOPICS.alerts_active, some)
    assert (shown(again), again.json["revision"], again.json["updated_at"]) == (["CA2"], 2, at(9))
    same = ("episode_id", "state", "severity", "occurrences", "reason", "window")
    assert [again.json[name] for name in same] == [fired.json[name] for name in same]
    assert active.json == again.json
    assert b"CA1" not in b"".join(lane.states.values())
    assert lane.run([forgotten(10, 2, "CA1")]) == []


def test_it_is_found_where_the_last_revision_alone_shows_it() -> None:
    """Newer samples have taken its place in the state, and nothing was written since."""
    lane = Lane()
    lane.run([told(0, 0, "CA0")])
    newer = [f"CA{number}" for number in range(1, 1 + SAMPLES)]
    assert lane.run([told(1 + n, 1 + n, one, times=1) for n, one in enumerate(newer)]) == []
    (again,) = to(TOPICS.alerts, lane.run([forgotten(9, 10, "CA0")]))
    assert shown(again) == newer


def test_one_that_no_condition_shows_and_one_whose_key_only_begins_alike_change_nothing() -> None:
    lane = Lane()
    lane.run([told(0, 0, "CA12")])
    assert lane.run([forgotten(9, 1, "CA9"), forgotten(9, 2, "CA1")]) == []


def test_what_is_over_is_not_written_again() -> None:
    lane = Lane()
    lane.run([told(0, 0, "CA1")])
    lane.run([a_tick(620, 1)])
    assert lane.run([forgotten(701, 2, "CA1")]) == []
    assert b"CA1" not in b"".join(lane.states.values())


def test_every_partition_is_told_of_a_forgotten_call_and_its_own_batch_tells_nothing_of_it() -> None:
    """What a batch tells of scopes is written behind everything else."""
    failed = callback("failed", "1", 3, SipResponseCode="503")
    others = [callback("failed", "1", 3, SipResponseCode="503", call_id=f"CA{n:032x}") for n in (1, 2)]
    written = Lane().run([*records([failed, *others]), a_request(60, 100)])
    to_each, told_ = to(TOPICS.scopes, written)
    assert (to_each.output.key, to_each.output.partition) == (KEY, EACH)
    assert to_each.json == {"kind": "forgotten", "key": TWILIO_KEY, "received_at": at(60)}
    assert [sample[2] for sample in told_.json["samples"]] == [f"twilio:CA{n:032x}" for n in (1, 2)]


@pytest.mark.parametrize(
    "said", [{"key": 1, "received_at": at(0)}, {"key": "twilio:CA1", "received_at": "x"}]
)
def test_a_record_that_cannot_be_read_is_a_dead_letter(said: dict[str, object]) -> None:
    value = orjson.dumps({"kind": "forgotten", **said})
    (letter,) = Lane().run([Fetched(TOPICS.scopes, 0, b"twilio:CA1", value)])
    assert letter.topic == TOPICS.dead_letters
    assert dict(letter.output.headers)["reason"] == b"invalid_field"
