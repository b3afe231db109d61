"""A delivery about another account's call is a dead letter and does not change the call."""

from __future__ import annotations

from stream.core.call.identity_pages import Pages
from stream.core.call.state import load
from tests.agents.batches import KEY, TOPICS, Lane, record, records, to
from tests.core.call.test_ownership import OTHER, changed, event, of
from tests.core.deliveries import ACCOUNT, answered_call, callback
from tests.core.folding import knowledge


def test_a_call_of_two_accounts_is_the_firsts_and_the_second_is_set_aside() -> None:
    lane = Lane()
    alone = Lane()
    mine = answered_call()
    alone.run(records(mine))
    batch = [mine[0], of(OTHER, callback("failed", "7", 1)), *mine[1:], of(OTHER, callback("busy", "8", 2))]
    written = lane.run(records(batch))
    letters = to(TOPICS.dead_letters, written)
    assert [dict(one.output.headers)["reason"] for one in letters] == [b"key_mismatch"] * 2
    assert [one.output.value for one in letters] == [batch[1].value, batch[-1].value]
    assert knowledge(load(lane.states[KEY])) == knowledge(load(alone.states[KEY]))
    assert lane.counted("dead_letters_total", source="twilio_status_callback", reason="key_mismatch") == 2


def test_an_event_of_another_account_than_its_signers_is_set_aside() -> None:
    lane = Lane()
    letters = to(TOPICS.dead_letters, lane.run(records([event(OTHER, ACCOUNT)])))
    assert [dict(one.output.headers)["reason"] for one in letters] == [b"invalid_field"]
    assert not lane.states


def test_a_call_that_is_folded_again_after_an_error_keeps_its_owner() -> None:
    lane = Lane()
    mine = answered_call()
    lane.run(records([mine[0], of(OTHER, callback("busy", "8", 2)), mine[1]]))
    broken = record(changed(callback("in-progress", "2", 6), ordinal=0), 9)
    other = record(of(OTHER, callback("busy", "8", 2)), 8)
    call = lane.processor.folder.refold(load(lane.states[KEY]), other, Pages(lane.states.get))
    assert call is not None
    assert knowledge(call) == knowledge(load(lane.states[KEY]))
    assert to(TOPICS.dead_letters, lane.run([broken])) == []
