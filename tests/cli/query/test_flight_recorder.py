"""What a terminal shows of one call."""

from __future__ import annotations

import io
import re

import pytest

from stream.cli.query.flight_recorder import flight_recorder
from stream.cli.query.words import seconds, short_id, time_of_day
from stream.cli.support.drawing import PlainConsole
from stream.timeline.call_timeline import CallTimeline
from stream.timeline.timeline_of import timeline_of
from tests.agents.batches import TOPICS, to
from tests.core.deliveries import TWILIO_KEY
from tests.replay.replaying import TRACES
from tests.timeline.recorded import forgotten, recorded


def drawn(trace: str, width: int) -> list[str]:
    return lines_of(recorded(trace).timeline, width)


def lines_of(timeline: CallTimeline, width: int) -> list[str]:
    console = PlainConsole(width=width, file=io.StringIO(), force_terminal=False)
    console.print(flight_recorder(timeline, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_wide_terminal_has_a_table() -> None:
    assert drawn("gap-healed-by-a-poll", 120) == [
        "twilio:CA00000000000000000000000000000001",
        "completed (answered)  outbound-api, +15*******06 → +15*******09, account default",
        "started     2026-03-02T10:00:00.000000Z, ended 10:00:55",
        "durations   setup 1 s, ring 5 s, talk 49 s",
        "codes       SIP 200",
        "seen by     call_event, status_callback",
        "expected    call, read from 10:00:55 to 10:30:55",
        "            the call has not settled: later evidence may change this",
        "",
        *TABLE.split("\n"),
    ]


TABLE = """\
 offset  at            received  from → to               what                                            \
seen by
 +0.000  10:00:00        +0.4 s  provider → callstream   #0 initiated                                    \
status_callback
 +1.000  10:00:01        +0.4 s  provider → callstream   #1 ringing                                      \
status_callback
 +6.000  10:00:06   +16 min 4 s  provider → callstream   #2 answered, callback never came: only the      \
call_event
                                                         provider's records have it
 +6.000  10:00:06   +16 min 4 s  provider → application  webhook, POST                                   \
call_event
                                                         https://hooks.example.test/tw/status: 204 in
                                                         0.038 s
+55.000  10:00:55        +0.4 s  provider → callstream   #3 completed, 49 s                              \
status_callback
+66.000  ~10:01:06     10:01:06  alert                   resolved delivery.gap: A resource of the
                                                         provider has what was missing."""


def test_a_narrow_terminal_has_two_lines_for_each_row() -> None:
    lines = drawn("webhook-fails-with-fallback", 72)
    at = lines.index("    +2.000 webhook, POST https://app.example.test/answer: 502 in 0.038 s")
    assert lines[at + 1 : at + 3] == [
        "           provider → application, 10:00:02, received +15 min 58 s,",
        "           call_event",
    ]


def test_evidence_that_callstream_has_counted_itself_names_no_source() -> None:
    assert drawn("busy", 72)[7:9] == [
        "            status busy speaks for callee [call]",
        "            ring_s 3",
    ]


def test_of_a_forgotten_call_nothing_is_expected() -> None:
    (event,) = to(TOPICS.events, forgotten())
    lines = lines_of(timeline_of(None, [event.json], []), 100)
    assert lines[:3] == [
        TWILIO_KEY,
        "forgotten on request: nothing of it is kept but this",
        "",
    ]


def test_what_never_came_is_said_where_it_belongs() -> None:
    lines = drawn("gap-expired", 72)
    at = lines.index("         ? callback 1 never came: nothing closed the gap")
    assert lines[at - 3 : at] == [
        "    +0.000 #0 initiated",
        "           provider → callstream, 10:00:00, received +0.4 s,",
        "           status_callback",
    ]


@pytest.mark.parametrize("width", [40, 72, 100, 200])
@pytest.mark.parametrize("trace", TRACES)
def test_no_line_is_wider_than_the_terminal_and_nothing_is_left_out(trace: str, width: int) -> None:
    lines = drawn(trace, width)
    assert max(map(len, lines)) <= width
    offsets = [row.offset_s for row in recorded(trace).timeline.rows]
    shown = [word for line in lines for word in line.split()[:1]]
    assert [word for word in shown if word == "?" or re.fullmatch(r"[+-]\d+\.\d{3}", word)] == [
        "?" if offset is None else f"{offset:+.3f}" for offset in offsets
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 s"),
        (0.038, "0.038 s"),
        (49, "49 s"),
        (49.26, "49.3 s"),
        (60, "1 min"),
        (964, "16 min 4 s"),
        (7500, "2 h 5 min"),
        (-2.5, "-2.5 s"),
        (None, "-"),
    ],
)
def test_a_duration(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_a_time_of_day_has_its_milliseconds_where_it_has_some() -> None:
    assert time_of_day("2026-03-02T10:00:02.400000Z") == "10:00:02.400"
    assert time_of_day("2026-03-02T10:00:02.000000Z") == "10:00:02"
    assert time_of_day(None) == "-"


def test_a_long_id_keeps_its_ends() -> None:
    assert short_id("twilio:CA8680230f4477433c7935a967bcc6def1") == "twilio:CA868023…bcc6def1"
    assert short_id("twilio:endpoint:AC1:https://app.example.test/answer") == (
        "twilio:endpoint:AC1:https://app.example.test/answer"
    )
