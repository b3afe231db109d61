"""What holds for any deliveries of one call, in any order and however often they come.

These are the promises of the state (a join) and of the identities (once each), over mixed sources.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.call import dump, load
from stream.core.record import CallRecord, survey
from stream.core.statuses import TERMINAL
from tests.core.deliveries import (
    Delivery,
    callback,
    calls_row,
    insight,
    knowledge,
    logged,
    machine_detection,
    parameters,
    recording,
    rfc2822,
    said_of,
    telnyx,
    telnyx_event,
    telnyx_row,
    tell,
)

PROGRESS = (
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "canceled",
    "failed",
)
IN_CALLS = tuple(status for status in PROGRESS if status != "initiated")

seconds = st.integers(0, 40)
received = st.integers(0, 5000).map(float)
numbers = st.sampled_from(("0", "1", "2", "3", "4", "9", "300", "", "-1", "1e3", None))
optional_texts = st.sampled_from((None, "0", "12", "49"))


@st.composite
def callbacks(draw: st.DrawFn) -> Delivery:
    more: dict[str, Any] = {}
    if (duration := draw(optional_texts)) is not None:
        more["CallDuration"] = duration
    if (code := draw(st.sampled_from((None, "200", "404", "503")))) is not None:
        more["SipResponseCode"] = code
    if (who := draw(st.sampled_from((None, "human", "machine_start")))) is not None:
        more["AnsweredBy"] = who
    if draw(st.booleans()):
        more["ErrorCode"] = draw(st.sampled_from(("13224", "13227")))
    if draw(st.booleans()):
        more["To"] = draw(st.sampled_from(("+15005550001", "+15005550002", "client:zoë")))
    status = draw(st.sampled_from((*PROGRESS, "cancelled", "teleported")))
    second = draw(st.one_of(st.none(), seconds))
    return callback(status, draw(numbers), second, received_s=draw(received), **more)


@st.composite
def rows(draw: st.DrawFn) -> Delivery:
    end = draw(st.one_of(st.none(), seconds))
    return calls_row(
        draw(st.sampled_from(IN_CALLS)),
        updated=draw(seconds),
        received_s=draw(received),
        end_time=None if end is None else rfc2822(end),
        duration=draw(optional_texts),
        price=draw(st.sampled_from((None, "-0.0075", "-0.0150"))),
        answered_by=draw(st.sampled_from((None, "human", "machine_end_beep"))),
        direction=draw(st.sampled_from(("outbound-api", "inbound"))),
    )


@st.composite
def log_rows(draw: st.DrawFn) -> Delivery:
    told = parameters(draw(st.sampled_from(PROGRESS)), draw(numbers), draw(seconds))
    if (duration := draw(optional_texts)) is not None:
        told["CallDuration"] = duration
    return logged(
        told,
        code=draw(st.sampled_from((204, 500, None))),
        ordinal=draw(st.integers(0, 1)),
        received_s=draw(received),
    )


insights = st.builds(
    insight,
    st.sampled_from(("initiated", "ringing", "error", "high-jitter")),
    seconds,
    level=st.sampled_from((None, "INFO", "WARNING", "ERROR")),
    edge=st.sampled_from((None, "carrier_edge", "sdk_edge")),
    ordinal=st.integers(0, 1),
    received_s=received,
)
recordings = st.builds(
    recording,
    st.sampled_from(("RE1", "RE2")),
    st.sampled_from(("in-progress", "completed", "absent", "failed")),
    st.sampled_from((None, "10", "44")),
    received,
)
detections = st.builds(machine_detection, st.sampled_from(("human", "machine_start", "fax")), received)

twilio_deliveries = st.one_of(callbacks(), rows(), log_rows(), insights, recordings, detections)


@st.composite
def telnyx_deliveries(draw: st.DrawFn) -> Delivery:
    """Few ids, and each id names one event; its reports may lack what others have."""
    kinds = {
        "e1": ("call.initiated", {"direction": "outgoing"}),
        "e2": ("call.ringing", {}),
        "e3": ("call.answered", {}),
        "e4": ("call.hangup", {"hangup_cause": "normal_clearing", "sip_hangup_cause": "200"}),
        "e5": ("call.hangup", {"hangup_cause": "user_busy", "sip_hangup_cause": "486"}),
        "e6": ("call.hangup", {"hangup_cause": "unspecified"}),
        "e7": ("call.recording.saved", {"recording_id": "rec1"}),
        "e8": ("call.machine.detection.ended", {"result": "human"}),
        "e9": ("call.speak.failed", {"status": "error"}),
        "e0": ("call.cost", {"total_cost": "0.0042", "cost_parts": [{"currency": "USD"}]}),
    }
    event_id = draw(st.sampled_from(sorted(kinds)))
    event_type, payload = kinds[event_id]
    if draw(st.booleans()):
        payload = {}
    second = draw(seconds)
    event = telnyx_event(event_type, event_id, second, **payload)
    if draw(st.booleans()):
        return telnyx(event, attempt=draw(st.integers(1, 2)), received_s=draw(received))
    return telnyx_row(event, status=draw(st.sampled_from(("delivered", "failed"))), received_s=draw(received))


def lists_of(one: st.SearchStrategy[Delivery]) -> st.SearchStrategy[list[Delivery]]:
    return st.lists(one, min_size=1, max_size=12)


several = st.one_of(lists_of(twilio_deliveries), lists_of(telnyx_deliveries()))
orders = st.randoms(use_true_random=False)


@given(several, orders)
@settings(max_examples=300, deadline=None)
def test_the_order_of_arrival_does_not_change_what_is_known(deliveries: list[Delivery], order: Any) -> None:
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    first, second = tell(deliveries), tell(shuffled)
    assert knowledge(first.call) == knowledge(second.call)
    records = [told.all_of(CallRecord) for told in (first, second)]
    assert bool(records[0]) == bool(records[1])
    if records[0]:
        assert said_of(records[0][-1]) == said_of(records[1][-1])


@given(several, orders)
@settings(max_examples=150, deadline=None)
def test_repeating_any_deliveries_changes_nothing_that_is_known(
    deliveries: list[Delivery], order: Any
) -> None:
    more = deliveries + [one for one in deliveries if order.random() < 0.7]
    order.shuffle(more)
    once, often = tell(deliveries), tell(more)
    assert knowledge(once.call) == knowledge(often.call)
    assert sorted(event.id for event in once.events) == sorted(event.id for event in often.events)
    if once.all_of(CallRecord):
        assert said_of(once.record) == said_of(often.record)


@given(several)
@settings(max_examples=100, deadline=None)
def test_a_delivery_at_once_again_says_nothing_new(deliveries: list[Delivery]) -> None:
    told = tell(one for one in deliveries for _ in range(2))
    assert told.results[1::2] == ["duplicate"] * len(deliveries)
    assert [folded.effects for folded in told.folded[1::2]] == [[]] * len(deliveries)


@given(several, orders)
@settings(max_examples=150, deadline=None)
def test_every_event_is_told_exactly_once_in_any_order(deliveries: list[Delivery], order: Any) -> None:
    shuffled = deliveries + deliveries
    order.shuffle(shuffled)
    first, second = ([event.id for event in tell(some).events] for some in (deliveries, shuffled))
    assert len(set(first)) == len(first)
    assert sorted(first) == sorted(second)


@given(several)
@settings(max_examples=150, deadline=None)
def test_nothing_leads_out_of_a_terminal_status(deliveries: list[Delivery]) -> None:
    call, ended = None, False
    for one in deliveries:
        call = tell([one], call=call).call
        end = survey(call).end
        assert call.ended == (end is not None)
        assert not (ended and end is None)
        assert end is None or end.status in TERMINAL
        ended = call.ended


@given(several)
@settings(max_examples=100, deadline=None)
def test_a_call_comes_back_from_the_store_as_it_was(deliveries: list[Delivery]) -> None:
    call = tell(deliveries).call
    assert load(dump(call)) == call


@given(several, st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_a_call_that_was_stored_in_between_goes_on_as_if_it_was_not(
    deliveries: list[Delivery], split: int
) -> None:
    whole = tell(deliveries)
    before = deliveries[:split]
    call = load(dump(tell(before).call)) if before else None
    after = tell(deliveries[split:], call=call, offset=len(before)) if deliveries[split:] else None
    if after is not None:
        assert after.call == whole.call
        assert after.effects == [effect for folded in whole.folded[split:] for effect in folded.effects]


crowds = st.lists(
    st.one_of(
        st.builds(insight, st.sampled_from("abcdefgh"), st.integers(0, 400), received_s=received),
        st.builds(recording, st.integers(0, 70).map("RE{}".format), st.sampled_from(("completed",))),
        st.builds(callback, st.sampled_from(PROGRESS), st.integers(0, 300).map(str), seconds),
    ),
    min_size=100,
    max_size=260,
)


@given(crowds, orders)
@settings(max_examples=15, deadline=None)
def test_what_is_kept_of_too_many_events_does_not_depend_on_their_order(
    deliveries: list[Delivery], order: Any
) -> None:
    shuffled = deliveries.copy()
    order.shuffle(shuffled)
    first, second = tell(deliveries), tell(shuffled)
    assert knowledge(first.call) == knowledge(second.call)
    assert len(dump(first.call)) < 32_000
    if first.all_of(CallRecord):
        assert said_of(first.record) == said_of(second.record)
