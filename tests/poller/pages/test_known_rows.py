"""Rows that a window brings again: they are left out without being decoded, and nothing else is."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.poller.pages.polled_writer import RecentRows
from stream.poller.pages.records import RecordBuilder
from stream.sources import DECODERS
from tests.poller.accounts import telnyx, twilio
from tests.poller.pages.test_records import (
    EVENT,
    OTHER,
    PATHS,
    RECEIVED_US,
    SAME_EVENT,
    records_of,
    telnyx_row,
)

ONE_CALL = [b'{"sid":"CA1","status":"%s"}' % status for status in (b"ringing", b"completed")]
POOLS = {
    "twilio_call_event": [EVENT, OTHER, SAME_EVENT, b"12"],
    "telnyx_call_event": [telnyx_row(1), telnyx_row(2), telnyx_row(1).replace(b":", b": ")],
    "twilio_call": [*ONE_CALL, b'{"sid":7}'],
}


@given(
    st.sampled_from(sorted(POOLS)).flatmap(
        lambda source: st.tuples(
            st.just(source),
            st.lists(
                st.lists(
                    st.tuples(
                        st.sampled_from([None, 4, 5]), st.lists(st.sampled_from(POOLS[source]), max_size=5)
                    ),
                    max_size=3,
                ),
                max_size=4,
            ),
        )
    ),
    st.integers(1, 9),
)
@settings(max_examples=200)
def test_what_is_left_out_was_written_and_everything_else_is_as_without_a_memory(
    reads: tuple[str, list[list[tuple[int | None, list[bytes]]]]], remembered: int
) -> None:
    """Whatever was read before and is forgotten, whether rows are alike, have moved, or cannot be decoded."""
    source, passes = reads
    account = twilio() if source.startswith("twilio") else telnyx()
    recent, written = RecentRows(remembered), set[int]()
    for pages in passes:
        plain = RecordBuilder(source, account, PATHS[source])
        telling = RecordBuilder(source, account, PATHS[source], recent.identity)
        for total, rows in pages:
            whole = plain.page(rows, total=total, received_us=RECEIVED_US)
            page = telling.page(rows, total=total, received_us=RECEIVED_US)
            assert {*page.known} <= written
            known = Counter(page.known)
            for all_of_them, rest in ((whole.rows, page.rows), (whole.dead_letters, page.dead_letters)):
                left_out = Counter(one.mark for one in all_of_them) - Counter(one.mark for one in rest)
                assert left_out <= known
                known -= left_out
                assert {one.mark: one for one in all_of_them} | {one.mark: one for one in rest} == {
                    one.mark: one for one in all_of_them
                }
            assert not known
            recent.refresh(page.known)
            recent.add(new := [*recent.unknown(page.rows), *recent.unknown(page.dead_letters)])
            written |= {one.mark for one in new}


def test_a_row_that_is_known_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = RecentRows(10)
    recent.add(records_of("telnyx_call_event", telnyx_row(1), telnyx_row(1)).rows)
    monkeypatch.setitem(DECODERS, "telnyx_call_event", lambda _: pytest.fail("decoded"))
    builder = RecordBuilder("telnyx_call_event", telnyx(), PATHS["telnyx_call_event"], recent.identity)
    page = builder.page([telnyx_row(1)] * 2, total=None, received_us=RECEIVED_US)
    assert (page.rows, len(set(page.known))) == ([], 2)
