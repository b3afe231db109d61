"""Cases from public reports: each file is what a provider sent, and what it must come to.

A case of `kind` `play` is played, one of `signature` is shown to the signature doctor. One that is marked
`in_order` is about what calls show of later ones, so it is not played in another order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from stream.gateway.diagnose.signature_doctor import diagnose
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import WebhookRequest, headers_of
from tests.agents.batches import TOPICS
from tests.cases.playing import Played, play
from tests.contracts.closed import validator
from tests.gateway.verdicts import parsed

FOLDER = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = {
    str(path.relative_to(FOLDER).with_suffix("")): orjson.loads(path.read_bytes())
    for path in sorted(FOLDER.rglob("*.json"))
}
TOLD = {"events", "event_count_named", "record", "alerts", "dead", "ignored", "leaves", "leaves_not"}
"""What a played case may expect."""


def of_kind(kind: str) -> list[str]:
    return [name for name, case in CASES.items() if case["kind"] == kind]


@pytest.mark.parametrize("name", of_kind("play"))
def test_what_was_sent_comes_to_what_it_means(name: str) -> None:
    case = CASES[name]
    expect, played = case["expect"], play(case)
    assert set(expect) <= TOLD
    assert [(one["reason"], one["error"]) for one in played.dead][expect.get("dead", 0) :] == []
    assert len(played.dead) == expect.get("dead", 0)
    check_events(expect, played)
    if "record" in expect:
        assert part_of(played.records[-1], expect["record"]) == expect["record"]
    if "alerts" in expect:
        assert played.alerts == expect["alerts"]
    if "ignored" in expect:
        assert played.ignored == expect["ignored"]
    for name, topic in (("event", TOPICS.events), ("call_record", TOPICS.ended), ("alert", TOPICS.alerts)):
        assert [error.message for one in played.of(topic) for error in validator(name).iter_errors(one)] == []
    for text in expect.get("leaves_not", ()):
        assert text.encode() not in played.leaving
    for text in expect.get("leaves", ()):
        assert text.encode() in played.leaving


@pytest.mark.parametrize("name", [name for name in of_kind("play") if not CASES[name].get("in_order")])
def test_order_and_repetition_change_nothing_of_it(name: str) -> None:
    case = CASES[name]
    deliveries = [one for one in case["deliveries"] for _ in range(2)]
    times = sorted(one.get("at", 0) for one in deliveries)
    turned = [{**one, "at": at} for one, at in zip(reversed(deliveries), times, strict=True)]
    once, again = play(case), play({**case, "deliveries": turned})
    assert {one["id"] for one in again.events} == {one["id"] for one in once.events}
    assert again.alerts == once.alerts
    assert last_records(again) == last_records(once)


def last_records(played: Played) -> dict[str, Any]:
    """The last record of each call, without what depends on the order of arrival."""
    of_arrival = ("id", "revision", "arrival", "updated_at", "gaps")
    return {
        record["key"]: {name: value for name, value in record.items() if name not in of_arrival}
        | {"gaps": [gap for gap in record["gaps"] if gap["closed_by"] != "late_arrival"]}
        for record in played.records
    }


def check_events(expect: dict[str, Any], played: Played) -> None:
    for number, said in expect.get("events", {}).items():
        assert part_of(played.events[int(number)], said) == said
    if "event_count_named" in expect:
        name, count = expect["event_count_named"]
        assert sum(one["name"] == name for one in played.events) == count


def part_of(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    return {name: whole[name] for name in part}


@pytest.mark.parametrize("name", of_kind("signature"))
def test_the_doctor_says_what_became_of_a_request(name: str) -> None:
    case = CASES[name]
    trust, sent, expect = case["trust"], case["request"], case["expect"]
    credentials = GatewayCredentials(
        public_url=trust["public_url"],
        twilio_tokens={account: tuple(tokens) for account, tokens in trust["tokens"].items()},
    )
    request = WebhookRequest(
        method=sent["method"],
        target=sent["target"],
        headers=headers_of([(name, value) for name, value in sent["headers"]]),
        body=sent["body"].encode(),
    )
    sentence = diagnose(parsed(request), credentials, 1_772_445_600.0).sentence
    assert [text for text in expect["sentence_has_not"] if text in sentence] == []
    assert [text for text in expect["sentence_has_one_of"] if text in sentence] != []


def test_every_case_says_what_it_is_and_none_is_left_out() -> None:
    assert {case["kind"] for case in CASES.values()} <= {"play", "signature"}
    assert [name for name, case in CASES.items() if not case["what"]] == []
