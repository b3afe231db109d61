"""Calls with very many events: no event is emitted twice or lost silently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stream.core.call.state
from stream.core.call.identity_pages import Pages, is_page, page_key
from stream.core.call.state import LIFECYCLE_CAP, SEEN_INLINE, Call, dump, load, new_call
from stream.core.call.timeline_entry import FAMILY_CODE, TimelineEntry
from stream.core.events import Event
from tests.core.deliveries import Delivery, callback, insight, recording
from tests.core.folding import Told, knowledge, said_of, settled, tell
from tests.core.mixtures import orders

KEY = "twilio:CA1"
fingerprints = st.integers(0, (1 << 64) - 1)


class Table:
    """Calls and pages between batches."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.call: Call | None = None

    def tell(self, deliveries: Iterable[Delivery]) -> Told:
        """One batch."""
        pages = Pages(self.entries.get)
        told = tell(deliveries, call=self.call, pages=pages)
        self.call = load(dump(told.call))
        self.write(pages)
        return told

    def write(self, pages: Pages) -> dict[bytes, bytes | None]:
        changes = pages.changes()
        for key, page in changes.items():
            if page is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = page
        return changes


def logs(count: int, first: int = 0) -> list[Delivery]:
    return [insight(f"n{number}", 2) for number in range(first, first + count)]


@given(st.sets(fingerprints, max_size=40), st.sets(fingerprints, max_size=40))
def test_pages_know_what_was_added_and_nothing_else_also_when_they_come_back_from_the_table(
    added: set[int], others: set[int]
) -> None:
    table, pages = Table(), Pages({}.get)
    for one in added:
        pages.add(KEY, one)
    table.write(pages)
    again = Pages(table.entries.get)
    for known in (pages, again):
        assert {one for one in added | others if known.has(KEY, one)} == added
        assert not any(known.has("twilio:CA2", one) for one in added)
    assert again.changes() == {}
    assert sum(map(len, table.entries.values())) == 8 * len(added)


@given(st.lists(fingerprints, max_size=30), orders)
def test_a_page_is_the_same_bytes_whatever_came_first(added: list[int], order: Any) -> None:
    shuffled = added.copy()
    order.shuffle(shuffled)
    first, second = Pages({}.get), Pages({}.get)
    for one, other in zip(added, shuffled, strict=True):
        first.add(KEY, one)
        second.add(KEY, other)
    assert first.changes() == second.changes()


def test_no_call_has_the_key_of_a_page() -> None:
    for call_key in ("twilio:CA1", "telnyx:v3:\x00", "twilio:conference:CF1", "twilio:\xff"):
        assert not is_page(call_key.encode())
        assert is_page(page_key(call_key, 0))
        assert is_page(page_key(call_key, 255))


def test_all_pages_leave_with_their_call_and_undoing_brings_them_back() -> None:
    table, pages = Table(), Pages({}.get)
    for one in range(0, 1 << 64, 1 << 55):
        pages.add(KEY, one)
        pages.add("twilio:CA2", one)
    table.write(pages)
    again = Pages(table.entries.get)
    again.add(KEY, 7)
    again.drop(KEY)
    assert not again.has(KEY, 0)
    assert again.has("twilio:CA2", 0)
    again.add(KEY, 9)
    left = table.write(again)
    assert sorted(left) == [page_key(KEY, page) for page in range(256)]
    assert {key: page for key, page in left.items() if page} == {page_key(KEY, 0): (9).to_bytes(8, "big")}
    again.undo(KEY)
    assert again.changes() == {}


def test_no_event_comes_out_twice_however_many_there_were_and_a_delivery_writes_little() -> None:
    """It was so from the 4 097th on."""
    table, many = Table(), logs(6000)
    told = [table.tell(many[start : start + 500]) for start in range(0, 6000, 500)]
    assert sum(len(one.events) for one in told) == 6000
    again = [table.tell(many[start : start + 500]) for start in range(0, 6000, 500)]
    assert {result for one in again for result in one.results} == {"duplicate"}
    assert [one.events for one in again] == [[]] * 12
    pages = Pages(table.entries.get)
    one_more = tell(logs(1, first=6000), call=table.call, pages=pages)
    (written,) = pages.changes().values()
    assert len(written or b"") < 600
    assert len(dump(one_more.call)) < 8000
    assert one_more.call.families == {"insights": 6001}


def test_an_event_that_comes_twice_in_one_batch_comes_out_once() -> None:
    table = Table()
    table.tell(logs(SEEN_INLINE))
    new = logs(50, first=SEEN_INLINE)
    told = table.tell([*new, *new])
    assert told.results == ["applied"] * 50 + ["duplicate"] * 50


def test_a_usual_call_has_no_page() -> None:
    table = Table()
    table.tell(logs(SEEN_INLINE))
    assert (table.entries, len(table.call.seen if table.call else ())) == ({}, SEEN_INLINE)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.core.call.state, "SEEN_CAP", 300)


@pytest.mark.usefixtures("small")
def test_what_comes_after_all_that_is_remembered_is_not_taken_in_and_the_record_says_so() -> None:
    table = Table()
    full = table.tell([callback("completed", "1", 5), *logs(300)])
    assert not full.record.truncated
    over = table.tell([*logs(2, first=300), *logs(2), *logs(2, first=300)])
    assert [folded.left_out for folded in over.folded] == [True, True, False, False, True, True]
    assert over.events == []
    assert over.record.truncated
    assert over.record.counts["events"] == 301


@pytest.mark.usefixtures("small")
def test_the_life_cycle_is_taken_in_also_when_nothing_more_is_remembered() -> None:
    table = Table()
    table.tell([callback("initiated", "0", 0), *logs(301)])
    told = table.tell([callback("failed", "7", 9)])
    assert [event.name for event in told.events] == ["completed"]
    assert (told.record.status, told.record.truncated) == ("failed", True)
    assert table.tell([callback("failed", "7", 9)]).results == ["duplicate"]


@pytest.mark.usefixtures("small")
def test_of_too_long_a_life_cycle_nothing_comes_out_twice_when_nothing_more_is_remembered() -> None:
    table = Table()
    told = [table.tell(logs(299))]
    changes = [callback("ringing", str(number), 1) for number in range(200)]
    for _ in range(3):
        told += [table.tell([one]) for one in changes]
        assert load(dump(told[-1].call)).truncated
    ids = [event.id for one in told for event in one.all_of(Event)]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 299 + LIFECYCLE_CAP
    assert table.call is not None
    assert table.call.truncated


crowd = st.lists(
    st.one_of(
        st.builds(insight, st.sampled_from("abcdefgh"), st.integers(0, 60)),
        st.builds(recording, st.integers(0, 9).map("RE{}".format), st.just("completed")),
        st.builds(
            callback, st.sampled_from(("ringing", "completed")), st.integers(0, 90).map(str), st.just(1)
        ),
    ),
    min_size=1,
    max_size=120,
)


@given(crowd, orders, st.integers(1, 40), st.integers(1, 30))
@settings(max_examples=10, deadline=None)
def test_up_to_the_cap_nothing_depends_on_the_order_nor_on_what_is_still_in_the_state(
    deliveries: list[Delivery], order: Any, size: int, inline: int
) -> None:
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        plain = tell(shuffled)
        patch.setattr(stream.core.call.state, "SEEN_INLINE", inline)
        first, second = Table(), Table()
        told = [first.tell(deliveries[at : at + size]) for at in range(0, len(deliveries), size)]
        second.tell(shuffled)
        third = tell(deliveries, call=second.call, pages=Pages(second.entries.get))
    assert first.call is not None
    assert second.call is not None
    assert knowledge(first.call) == knowledge(second.call)
    assert first.entries == second.entries
    assert set(third.results) == {"duplicate"}
    ids = [event.id for one in told for event in one.events]
    assert sorted(ids) == sorted(event.id for event in plain.events)
    if plain.call.ended:
        assert said_of(settled(first.call)) == said_of(settled(plain.call))


@given(crowd, orders, st.integers(5, 40))
@settings(max_examples=10, deadline=None)
def test_beyond_the_cap_any_order_says_that_something_is_left_out_and_nothing_comes_twice(
    deliveries: list[Delivery], order: Any, cap: int
) -> None:
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream.core.call.state, "SEEN_CAP", cap)
        patch.setattr(stream.core.call.state, "LIFECYCLE_CAP", 5)
        patch.setattr(stream.core.call.state, "SEEN_INLINE", 10)
        first, second = Table(), Table()
        told = [first.tell(some) for some in (deliveries, deliveries)], [second.tell(shuffled)]
    assert first.call is not None
    assert second.call is not None
    assert first.call.truncated == second.call.truncated
    ids = [event.id for one in told[0] for event in one.events]
    assert len(ids) == len(set(ids))


def test_a_state_of_an_older_version_goes_on_in_pages() -> None:
    call = new_call(KEY, None)
    call.seen = list(range(0, 4096 * 7, 7))
    pages = Pages({}.get)
    assert call.knows(7, pages) is True
    call.add(TimelineEntry(5, FAMILY_CODE["insights"], "x"), pages)
    assert (call.seen, call.paged) == ([], 4097)
    assert all(call.knows(one, pages) is not False for one in (0, 5, 7, 4095 * 7))
    assert call.knows(6, pages) is False
