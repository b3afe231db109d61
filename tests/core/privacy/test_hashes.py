"""Beside a masked number stands its hash, where there is a key: as the mode `hashed` shows the number."""

from __future__ import annotations

import hashlib
from itertools import permutations
from typing import Any

import pytest

from stream.core.privacy.masking import Privacy
from tests.core.deliveries import Delivery, answered_call, callback, calls_row, telnyx, telnyx_event
from tests.core.folding import knowledge, said_of, settled, tell

KEYED = Privacy("masked", "s3cret")
HASHED = Privacy("hashed", "s3cret")
CALLER, CALLEE = "+15005550006", "+14155550142"


def ended(**changed: str) -> list[Delivery]:
    return [callback("completed", "3", 9, **{"From": CALLER, "To": CALLEE, **changed})]


def hashes(said: Any) -> dict[str, str]:
    return {name: getattr(said, name) for name in ("from_hash", "to_hash") if getattr(said, name)}


@pytest.mark.parametrize("number", [CALLEE, "sip:+14155550142@pbx.example.test", "sip:jane@a.test", "jane"])
def test_events_and_records_have_the_hash_beside_the_mask(number: str) -> None:
    told = tell(ended(To=number), privacy=KEYED)
    expected = {"from_hash": HASHED.address(CALLER), "to_hash": HASHED.address(number)}
    assert hashes(told.events[0]) == hashes(told.record) == expected
    assert told.record.to == Privacy("masked").address(number)


@pytest.mark.parametrize("spelling", ["14155550142", "0014155550142", "+1 (415) 555-0142"])
def test_a_number_has_one_hash_in_all_spellings(spelling: str) -> None:
    assert tell(ended(To=spelling), privacy=KEYED).record.to_hash == HASHED.address(CALLEE)


def test_a_webhook_of_telnyx_has_them_too() -> None:
    hangup = telnyx(telnyx_event("call.hangup", "e1", 9, **{"from": CALLER, "to": CALLEE}))
    (event,) = tell([hangup], privacy=KEYED).events
    assert hashes(event) == {"from_hash": HASHED.address(CALLER), "to_hash": HASHED.address(CALLEE)}


@pytest.mark.parametrize("privacy", [Privacy("masked"), HASHED, Privacy("full", "s3cret")])
def test_without_a_key_and_in_the_other_modes_they_are_not_written(privacy: Privacy) -> None:
    told = tell(ended(), privacy=privacy)
    assert not any("_hash" in name for name in said_of(told.record))
    assert not any("_hash" in name for name in told.call.facts)


def test_the_hash_goes_with_the_number_that_is_kept_in_any_order() -> None:
    """Of two numbers that sources disagree on; the last two have one mask."""
    others = ("+14155550199", "+14255550199", "+14155550142")
    told = [callback("ringing", "1", 2, To=others[0]), callback("completed", "3", 9, To=others[1])]
    told.append(callback("answered", "2", 4, To=others[2]))
    runs = [tell(order, privacy=KEYED) for order in permutations(told)]
    record = settled(runs[0].call)
    kept = [one for one in others if Privacy("masked").address(one) == record.to]
    assert record.to_hash == max(map(HASHED.address, kept))
    assert all(said_of(settled(run.call)) == said_of(record) for run in runs)


def test_a_newer_resource_brings_its_hash() -> None:
    told = tell([*answered_call(), calls_row("completed", to="+14155550001")], privacy=KEYED)
    assert (told.record.to, told.record.to_hash) == ("+14*******01", HASHED.address("+14155550001"))


def test_of_numbers_with_one_mask_the_newest_resource_brings_the_hash_in_any_order() -> None:
    """Whatever another one said of it in between."""
    newest, older = sorted(("+14155550142", "+14255550142"), key=HASHED.address)
    rows = [(older, 60), ("+15005550009", 60), (newest, 61)]
    told = [calls_row("completed", to=number, updated=second) for number, second in rows]
    runs = [tell(order, privacy=KEYED) for order in permutations(told)]
    assert {run.call.facts["to_hash"] for run in runs} == {HASHED.address(newest)}
    assert all(knowledge(run.call) == knowledge(runs[0].call) for run in runs)


def test_a_key_that_is_set_while_calls_run_adds_the_hash_with_the_next_delivery() -> None:
    before = tell(answered_call()[:1], privacy=Privacy("masked"))
    after = tell(answered_call()[1:], call=before.call, privacy=KEYED, offset=1)
    assert hashes(after.record).keys() == {"from_hash", "to_hash"}
    assert knowledge(after.call) == knowledge(tell(answered_call(), privacy=KEYED).call)


def test_a_number_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bool] = []
    blake2b = hashlib.blake2b

    def counting(*of: Any, **how: Any) -> Any:
        hashed.append("key" in how)
        return blake2b(*of, **how)

    monkeypatch.setattr(hashlib, "blake2b", counting)
    tell(answered_call(), privacy=Privacy("masked", "another"))
    assert sum(hashed) == 2
    tell(answered_call(), privacy=Privacy("masked"))
    assert sum(hashed) == 2
