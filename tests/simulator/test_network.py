"""The network repeats, overtakes, loses and delays about as much as it was asked to."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from stream.simulator.calls.options import Options
from stream.simulator.traffic import Traffic

CALLS = 1500


def numbers(**options: Any) -> dict[str, list[int]]:
    """The numbers of each Twilio call's callbacks, in order of delivery."""
    found: dict[str, list[int]] = {}
    only = frozenset({"twilio_status_callback"})
    for record in Traffic(Options(calls=CALLS, telnyx=0.0, sources=only, **options)):
        body = orjson.loads(record.value)["body"]
        if "SequenceNumber" in body:
            found.setdefault(body["CallSid"], []).append(int(body["SequenceNumber"]))
    return found


@pytest.fixture(scope="module")
def undisturbed() -> int:
    return sum(len(sent) for sent in numbers().values())


def test_an_undisturbed_network_keeps_order_and_repeats_nothing() -> None:
    assert all(sent == sorted(set(sent)) for sent in numbers().values())


def test_duplicates_come_at_their_share(undisturbed: int) -> None:
    calls = numbers(duplicates=0.1)
    repeated = sum(count > 1 for sent in calls.values() for count in Counter(sent).values())
    assert repeated / undisturbed == pytest.approx(0.1, rel=0.15)


def test_lost_callbacks_are_lost_at_their_share_with_all_their_repetitions(undisturbed: int) -> None:
    arrived = sum(len(set(sent)) for sent in numbers(drop=0.2, duplicates=0.5).values())
    assert 1 - arrived / undisturbed == pytest.approx(0.2, rel=0.15)


def test_overtaken_callbacks_come_behind_their_successor_at_their_share(undisturbed: int) -> None:
    pairs = late = 0
    for sent in numbers(reorder=0.1).values():
        place = {number: at for at, number in enumerate(sent)}
        for number, at in place.items():
            if number + 1 in place:
                pairs += 1
                late += at > place[number + 1]
    assert late / pairs == pytest.approx(0.1, rel=0.2)


def test_late_callbacks_come_after_the_end_of_their_call() -> None:
    behind = sum(sent[-1] != max(sent) for sent in numbers(late=0.2).values() if len(sent) > 1)
    assert 0.1 * CALLS < behind < 0.6 * CALLS


def test_a_repetition_of_a_callback_says_the_same() -> None:
    bodies: dict[tuple[str, str], set[bytes]] = {}
    tokens: set[str] = set()
    for record in Traffic(Options(calls=500, duplicates=0.9, sources=frozenset({"twilio_status_callback"}))):
        envelope = orjson.loads(record.value)
        place = (envelope["body"]["CallSid"], envelope["body"]["CallStatus"])
        bodies.setdefault(place, set()).add(orjson.dumps(envelope["body"]))
        tokens.add(envelope["delivery"]["token"])
    assert all(len(said) == 1 for said in bodies.values())
    assert len(tokens) > len(bodies), "a third delivery comes under another token"


def test_a_repeated_telnyx_webhook_keeps_its_id_and_counts_its_attempts() -> None:
    attempts: dict[str, list[int]] = {}
    only = frozenset({"telnyx_webhook"})
    for record in Traffic(Options(calls=300, telnyx=1.0, duplicates=0.5, sources=only)):
        body = orjson.loads(record.value)["body"]
        attempts.setdefault(body["data"]["id"], []).append(body["meta"]["attempt"])
    assert {tuple(sorted(counted)) for counted in attempts.values()} == {(1,), (1, 2), (1, 2, 3)}
