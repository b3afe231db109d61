"""The ladder of a call: who stands where, what is dashed, which times are drawn shorter, what fits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest

from stream.api.ui.drawings.ladder import (
    CHARACTER,
    FIRST_RUNGS,
    MOST_RUNGS,
    NARROW,
    WIDE,
    Ladder,
    LadderSize,
    ladder,
)
from stream.timeline.call_timeline import CallTimeline, TimelineRow
from tests.replay.replaying import TRACES
from tests.timeline.recorded import recorded, recorded_calls

SIZES = (WIDE, NARROW)


def titles(drawn: Ladder) -> list[str]:
    return [one.title for one in drawn.lifelines]


def ends(drawn: Ladder) -> list[tuple[str, str, str]]:
    """(offset, from whom to whom, label) of each rung."""
    at = {one.x: one.party for one in drawn.lifelines}
    return [(one.offset, f"{at[one.x1]}>{at[one.x2]}", one.label) for one in drawn.rungs]


def test_a_failing_webhook_is_an_arrow_to_the_application_with_its_answer() -> None:
    drawn = ladder(recorded("webhook-fails-with-fallback").timeline, WIDE)
    assert titles(drawn) == ["Provider", "Your application", "callstream"]
    assert ends(drawn) == [
        ("+0 s", "provider>callstream", "initiated"),
        ("+1 s", "provider>callstream", "ringing"),
        ("+2 s", "provider>application", "POST /answer: 502, code 11200"),
        ("+2 s", "provider>application", "POST /answer: 502 in 0.038 s"),
        ("+3 s", "provider>application", "POST /answer: 200 in 0.038 s"),
        ("+6 s", "provider>callstream", "answered"),
        ("+55 s", "provider>callstream", "completed, 49 s"),
    ]
    assert [one.tone for one in drawn.rungs] == ["usual", "usual", "bad", "bad", "good", "good", "good"]
    assert [one.is_read for one in drawn.rungs] == [False, False, False, True, True, False, False]


def test_ringing_and_talk_are_bars_between_their_rungs_and_the_talk_is_drawn_shorter() -> None:
    drawn = ladder(recorded("webhook-fails-with-fallback").timeline, WIDE)
    heights = [one.y for one in drawn.rungs]
    assert [(one.title, one.y1, one.y2) for one in drawn.bars] == [
        ("ringing 5 s", heights[1], heights[5]),
        ("talk 49 s", heights[5], heights[6]),
    ]
    (pause,) = drawn.breaks
    assert pause.text == "49 s"
    assert heights[5] < pause.y < heights[6]


def test_a_callback_that_never_came_is_marked_as_absent_and_the_others_are_not() -> None:
    drawn = ladder(recorded("gap-expired").timeline, WIDE)
    assert [(one.label, one.is_absent) for one in drawn.rungs if one.tone == "absent"] == [
        ("callback 1 never came: nothing closed the gap", True),
        ("callback 2 never came: nothing closed the gap", True),
    ]
    assert [one.is_absent for one in drawn.rungs] == [False, True, True, False, False]
    healed = ladder(recorded("gap-healed-by-a-poll").timeline, WIDE)
    assert [one.row.missing_because for one in healed.rungs if one.is_absent] == ["poll_heal"]


def test_edges_have_lifelines_of_their_own_and_share_one_where_there_is_no_room() -> None:
    timeline = recorded("client-network-trouble").timeline
    assert titles(ladder(timeline, WIDE)) == ["Sdk edge", "Provider", "callstream"]
    for place, edge in enumerate(("carrier_edge", "sip_edge", "client_edge", "sdk_edge")):
        timeline.rows.append(
            TimelineRow(kind="event", position_s=90.0 + place, sender=edge, receiver="provider",
                        family="insights", name="metrics", edge=edge)
        )  # fmt: skip
    assert titles(ladder(timeline, WIDE))[:4] == ["Carrier edge", "Client edge", "Sdk edge", "Sip edge"]
    narrow = ladder(timeline, NARROW)
    assert titles(narrow) == ["Edges", "Provider", "callstream"]
    assert {one.x1 for one in narrow.rungs if one.row.edge} == {narrow.lifelines[0].x}


def test_late_is_said_in_words() -> None:
    timeline = recorded("busy").timeline
    timeline.rows[1].arrival = "late"
    rung = ladder(timeline, NARROW).rungs[1]
    assert rung.label.endswith(" · late")
    assert rung.tone == "warning"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
@pytest.mark.parametrize("trace", TRACES)
def test_every_row_of_every_trace_is_drawn_once_in_order_and_inside_its_picture(
    trace: str, size: LadderSize
) -> None:
    for call in recorded_calls(trace).values():
        timeline = call.timeline
        drawn = ladder(timeline, size)
        assert [one.row for one in drawn.rungs] == timeline.rows
        assert_readable(drawn, size)


def assert_readable(drawn: Ladder, size: LadderSize) -> None:
    """No two rungs overlap, no label leaves the picture, each lifeline is inside."""
    heights = [one.y for one in drawn.rungs]
    assert all(after - before >= size.step - 0.1 for before, after in pairwise(heights))
    assert all(size.head < y < drawn.bottom for y in heights)
    assert drawn.bottom < drawn.height
    for one in drawn.rungs:
        width = len(one.label) * size.font * CHARACTER
        begin = one.label_x - width if one.anchor == "end" else one.label_x
        assert begin >= size.gutter - 1
        assert begin + width <= size.width
    assert [one.x for one in drawn.lifelines] == sorted({one.x for one in drawn.lifelines})
    assert all(0 <= bar.y1 <= bar.y2 <= drawn.bottom for bar in drawn.bars)


def test_very_long_calls_show_their_beginning_and_their_end() -> None:
    timeline = long_call(MOST_RUNGS + 25)
    drawn = ladder(timeline, WIDE)
    numbers = [one.number for one in drawn.rungs]
    assert numbers == [*range(FIRST_RUNGS), *range(FIRST_RUNGS + 25, MOST_RUNGS + 25)]
    assert drawn.left_out == 25
    assert [one.text for one in drawn.breaks] == ["25 more, 26 s"]


def test_a_call_without_any_row_has_an_empty_ladder() -> None:
    timeline = long_call(0)
    drawn = ladder(timeline, NARROW)
    assert (drawn.rungs, drawn.breaks, titles(drawn)) == ([], [], ["Provider", "callstream"])


def long_call(rows: int) -> CallTimeline:
    """A call with an event each second."""
    events: Sequence[TimelineRow] = [
        TimelineRow(kind="event", position_s=float(second), offset_s=float(second), sender="provider",
                    receiver="callstream", family="other", name="ping")
        for second in range(rows)
    ]  # fmt: skip
    return msgspec.structs.replace(recorded("busy").timeline, rows=list(events), phases=[])
