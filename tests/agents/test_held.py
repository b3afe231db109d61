"""What entries of the table count in, and that a recovered table counts the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.held import Head, load_head
from stream.core.alerting.rules import read_rules
from stream.core.call.state import Call, dump
from stream.core.policy import CallPolicy
from tests.agents.batches import TOPICS, Lane, a_tick, records, to
from tests.agents.test_scopes import told
from tests.core.deliveries import answered_call, callback
from tests.core.folding import tell

FAILED = callback("failed", "0", 2, SipResponseCode="503")


def active(lane: Lane) -> dict[tuple[str, str], float]:
    """The alerts that fire, by rule and severity, as a scrape shows them."""
    return {
        (sample.labels["rule"], sample.labels["severity"]): sample.value
        for family in lane.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "callstream_alerts_active" and sample.value
    }


def fields(head: Head | Call) -> list[Any]:
    return [getattr(head, name) for name in Head.__annotations__]


@pytest.mark.parametrize("deliveries", [answered_call(), [FAILED]])
def test_the_head_of_a_stored_call_is_what_the_call_says(deliveries: list[Any]) -> None:
    call = tell(deliveries).call
    assert fields(load_head(dump(call))) == fields(call)


def test_the_head_of_a_call_of_an_older_version_is_read() -> None:
    call = tell(answered_call()).call
    stored = msgspec.msgpack.encode(msgspec.msgpack.decode(dump(call))[:12])
    assert fields(load_head(stored)) == fields(call)


def test_what_fires_is_counted_by_rule_and_severity_also_in_a_lane_that_recovers_it() -> None:
    lane = Lane(CallPolicy(settle_s=1000))
    lane.run(records([FAILED]))
    lane.run([told(0, 7, 20)])
    firing = {("call.failed", "info"): 1, ("webhook.failing", "critical"): 1}
    assert active(lane) == firing
    later = Lane(CallPolicy(settle_s=1000), states=lane.states)
    assert active(later) == firing
    assert [one.json["state"] for one in to(TOPICS.alerts, later.run([a_tick(620, 8)]))] == ["resolved"]
    assert active(later) == {("call.failed", "info"): 1}
    later.run([a_tick(2000, 9)])
    assert active(later) == {}


def test_a_higher_severity_takes_the_place_of_the_lower_one() -> None:
    lane = Lane()
    lane.run(records([FAILED]))
    lane.processor.use_rules(read_rules("[[rules]]\nid = 'call.failed'\nseverity = 'warning'"))
    lane.run(records([callback("ringing", "1", 1)]))
    assert active(lane) == {("call.failed", "warning"): 1}


def test_failures_with_a_code_are_the_rule_about_failing_calls() -> None:
    lane = Lane()
    for n in range(60):
        one = callback("failed", "1", n, call_id=f"CA{n:032x}", SipResponseCode="503")
        for told_of in to(TOPICS.scopes, lane.run(records([one]))):
            record = told(0, n, 0)
            record.key, record.value = told_of.output.key, told_of.output.value
            lane.run([record])
    assert active(lane)["calls.failing", "critical"] == 1


def test_rules_that_were_refused_are_shown_until_others_are_read() -> None:
    lane, name = Lane(), "config_last_reload_successful"
    before = lane.processor.folder.policy
    shown = [lane.counted(name)]
    lane.processor.use_rules(None)
    shown.append(lane.counted(name))
    assert lane.processor.folder.policy is before
    lane.processor.use_rules(read_rules(""))
    assert [*shown, lane.counted(name)] == [1, 0, 1]
