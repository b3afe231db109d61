"""What calls of one configuration show of the next ones: in the table, over batches and restarts."""

from __future__ import annotations

from typing import Any

from stream.core.delivery.subscriptions import KEPT_S, KEY, LASTING_S
from tests.agents.batches import CALLBACKS, POLLED, TOPICS, Fetched, Lane, a_tick, record, to
from tests.core.deliveries import callback, logged, parameters

SENT = (("ringing", "1", 1), ("in-progress", "2", 6), ("completed", "3", 55))


def call(name: str, after_s: int, steps: Any = SENT) -> list[Fetched]:
    """The callbacks of a call that began `after_s` after the others, and a tick when it has been quiet."""
    came = [callback(*step, received_s=after_s + step[2], call_id=name) for step in steps]
    return [*(record(one, after_s) for one in came), a_tick(after_s + 70, after_s)]


def learned(lane: Lane) -> Lane:
    for n in range(5):
        lane.run(call(f"CA{n}", n * LASTING_S // 4))
    return lane


def detected(lane: Lane) -> float:
    return lane.counted("sequence_gaps_detected_total", source=CALLBACKS)


def test_a_status_that_no_call_of_an_endpoint_subscribes_to_is_a_gap_until_that_is_known() -> None:
    lane = learned(Lane(policy=POLLED))
    assert detected(lane) == 5
    assert to(TOPICS.fetches, lane.run(call("CA5", 700))) != []
    assert detected(lane) == 5
    lane.run(call("CA6", 800, SENT[1:]))
    assert detected(lane) == 6  # 0 is not sent, 1 is lost
    later = Lane(policy=POLLED, states=lane.states)
    later.run(call("CA7", 900))
    assert detected(later) == 0
    later.run([a_tick(second, second) for second in (80_000, 120_000)])  # they settle
    later.run(call("CA8", 900 + KEPT_S))
    assert detected(later) == 1  # nobody has shown it for a week


def test_a_gap_that_turns_out_to_be_unsubscribed_does_not_expire() -> None:
    lane = learned(Lane())
    lane.run([a_tick(9000, 9000)])
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="not_sent") == 5
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="expired") == 0
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 0
    assert [one.json["gaps"] for one in to(TOPICS.ended, lane.run(call("CA5", 9100)))] == [[]]


def test_a_call_with_all_events_tells_that_they_are_sent_now() -> None:
    lane = learned(Lane())
    lane.run(call("CA5", 700, (("initiated", "0", 0), *SENT)))
    assert KEY not in lane.states
    lane.run(call("CA6", 800))
    assert detected(lane) == 6


def test_a_request_log_shows_it_at_once_and_a_late_callback_disproves_it() -> None:
    lane = Lane()
    lane.run(call("CA1", 0))
    rows = [logged(parameters(*step, call_id="CA1"), call_id="CA1", received_s=960.0) for step in SENT]
    lane.run([*(record(row, 960) for row in rows), a_tick(1000, 1000)])
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="not_sent") == 1
    lane.run(call("CA2", 1100))
    assert detected(lane) == 1
    lane.run([record(callback("initiated", "0", 0, received_s=1200.0, call_id="CA2"), 1200)])
    assert KEY not in lane.states


def test_a_row_of_the_request_log_that_comes_after_the_others_takes_back_what_they_proved() -> None:
    lane = Lane()
    lane.run(call("CA1", 0))
    steps = (*SENT, ("initiated", "0", 0))
    *rows, last = (
        logged(parameters(*step, call_id="CA1"), call_id="CA1", received_s=960.0) for step in steps
    )
    lane.run([*(record(row, 960) for row in rows), a_tick(1000, 1000)])
    assert KEY in lane.states
    lane.run([record(last, 1010)])
    assert KEY not in lane.states
    lane.run(call("CA2", 1100))
    assert detected(lane) == 2


def test_what_some_calls_of_an_endpoint_are_sent_explains_no_gap_of_those_that_are_sent_more() -> None:
    lane = Lane()
    lane.run(call("CA1", 0, SENT[2:]))
    row = logged(parameters(*SENT[2], call_id="CA1"), call_id="CA1", received_s=960.0)
    lane.run([record(row, 960), a_tick(1000, 1000)])
    lane.run(call("CA2", 1100, SENT[2:]))
    assert detected(lane) == 3  # those of the first call: only its end is sent, as its log proves
    lane.run(call("CA3", 1200, (("initiated", "0", 0), *SENT[1:])))
    assert detected(lane) == 4


def test_a_real_gap_of_a_running_call_is_read_and_one_of_an_ended_call_is_read_anyway() -> None:
    lane = Lane(policy=POLLED)
    some = lane.run(call("CA1", 0, (("initiated", "0", 0), ("in-progress", "2", 6)))[:-1])
    assert to(TOPICS.fetches, some) == []
    (asked,) = to(TOPICS.fetches, lane.run([a_tick(17, 17)]))
    assert (asked.json["reason"], asked.json["reads"]) == (
        "gap",
        [{"source": "twilio_call", "edge": None, "content": None}],
    )
