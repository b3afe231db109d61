"""What is read of a call after its end, when, how often, and when that is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import pytest

from stream.core.call import Call, dump, load
from stream.core.effects import CallbackMissing, CallReconciled, FetchAnswered
from stream.core.fetches import FetchRequest, FetchResult
from stream.core.instants import utc
from stream.core.policy import Policy
from stream.core.record import CallRecord
from stream.core.schedule import LADDERS
from stream.core.waiting import answered, tick
from tests.core.deliveries import (
    START_US,
    Delivery,
    answered_call,
    callback,
    calls_row,
    delivery,
    logged,
    parameters,
    recording,
    rfc2822,
    tell,
    telnyx,
    telnyx_event,
)

ALL = (*LADDERS, "telnyx_webhook_delivery")
POLICY = Policy(polled=ALL)
END_S = 55
"""When `answered_call` ended, seconds after its start."""

Answer = Callable[[FetchRequest, float], dict[str, Any] | None]


class Asked(NamedTuple):
    """A request, seconds after the call's end."""

    after_s: float
    source: str
    edge: str | None
    reason: str
    attempt: int
    priority: str


class Life(NamedTuple):
    asked: list[Asked]
    effects: list[Any]
    call: Call | None

    def steps(self, source: str) -> list[float]:
        return [asked.after_s for asked in self.asked if asked.source == source]

    @property
    def records(self) -> list[CallRecord]:
        return [effect for effect in self.effects if type(effect) is CallRecord]


def success(request: FetchRequest, after_s: float) -> dict[str, Any]:
    return {"outcome": "success", "rows": 1, "complete": True, "content": "0f"}


def live(
    deliveries: Iterable[Delivery],
    answer: Answer = success,
    *,
    policy: Policy = POLICY,
    until_s: int = 9000,
    behind_s: int = 0,
) -> Life:
    """A call from its deliveries to its end in the table, a tick a second, each request answered at once.
    The state goes through the store between any two steps. The poller's clock is `behind_s` behind.
    """
    told = tell(deliveries, policy=policy)
    call: Call | None = told.call
    effects = list(told.effects)
    asked: list[Asked] = []
    fresh = told.all_of(FetchRequest)
    now_s = told.call.arrival.last_us / 1e6
    while call is not None and now_s * 1e6 < START_US + until_s * 1e6:
        call = load(dump(call))
        after_s = round(now_s - START_US / 1e6 - END_S, 1)
        for request in fresh:
            asked.append(Asked(after_s, *_what(request)))
            came = answer(request, after_s)
            if came is not None:
                now_us = int((now_s - behind_s) * 1e6)
                effects += answered(call, result(request, **came), now_us, utc(now_us), policy)
        now_s, fresh = int(now_s) + 1, []
        if call.due_s <= now_s:
            ticked = tick(call, int(now_s * 1e6), policy)
            call = ticked.call
            effects += ticked.effects
            fresh = [effect for effect in ticked.effects if type(effect) is FetchRequest]
    return Life(asked, effects, call)


def _what(request: FetchRequest) -> tuple[str, str | None, str, int, str]:
    return request.source, request.edge, request.reason, request.attempt, request.priority


def result(request: FetchRequest, **came: Any) -> FetchResult:
    about = {"rows": 0, "complete": False, "content": None} | came
    return FetchResult(
        fetch_id=request.id,
        key=request.key,
        source=request.source,
        edge=request.edge,
        reason=request.reason,
        attempt=request.attempt,
        **about,
    )


def test_everything_is_read_after_the_end_and_no_more_once_it_is_enough() -> None:
    lived = live(answered_call(), until_s=8000)
    assert lived.asked == [
        Asked(0.5, "twilio_call", None, "ended", 1, "heal"),
        Asked(90.0, "twilio_insights_event", "carrier_edge", "ended", 1, "terminal"),
        # Once more, because two reads have to be the same.
        Asked(180.0, "twilio_insights_event", "carrier_edge", "ended", 2, "terminal"),
        Asked(900.0, "twilio_call_event", None, "ended", 1, "terminal"),
        Asked(1800.0, "twilio_call_summary", None, "ended", 1, "terminal"),
    ]
    assert len({request.id for request in lived.effects if type(request) is FetchRequest}) == 5


def test_a_call_of_telnyx_is_read_by_its_leg() -> None:
    hangup = telnyx(telnyx_event("call.hangup", "e3", END_S, hangup_cause="normal_clearing"), received_s=55.5)
    lived = live([hangup], until_s=5000)
    assert [(asked.after_s, asked.source) for asked in lived.asked] == [
        (60.0, "telnyx_call_event"),
        (300.0, "telnyx_call_event"),
    ]


def test_a_texml_call_is_not_asked_for_because_its_key_is_no_leg() -> None:
    body = {"CallSid": "v3:abc", "CallStatus": "completed", "SequenceNumber": "3", "AccountSid": "org"}
    ended = delivery("telnyx_texml_callback", "telnyx:v3:abc", body, 60.0)
    assert live([ended], until_s=5000).asked == []
    begun = delivery("telnyx_texml_callback", "telnyx:v3:abc", body | {"CallStatus": "ringing"}, 60.0)
    assert live([begun], policy=Policy(polled=ALL, overdue_s=100), until_s=5000).asked == []


def test_of_a_texml_call_only_its_callbacks_are_expected_and_there_is_nothing_to_compare() -> None:
    body = {"CallSid": "v3:abc", "CallStatus": "completed", "SequenceNumber": "3", "AccountSid": "org"}
    lived = live([delivery("telnyx_texml_callback", "telnyx:v3:abc", body, 60.0)])
    assert [record.completeness for record in lived.records] == [
        {"expected": ["telnyx_texml_callback"], "seen": ["telnyx_texml_callback"], "complete": []}
    ] * 2
    assert [effect for effect in lived.effects if type(effect) is CallReconciled] == []


def test_without_an_account_it_is_asked_for_as_rarely_as_may_be() -> None:
    steps = live(answered_call(), lambda *_: {"outcome": "no_account"}).steps("twilio_call")
    assert {round(b - a) for a, b in pairwise(steps)} == {600}


def test_what_is_complete_is_told_when_all_is_or_nothing_more_is_awaited() -> None:
    """In between it would depend on what came first."""
    told = tell(answered_call(), policy=POLICY)
    (request,) = told.all_of(FetchRequest)
    answered(told.call, result(request, outcome="success", complete=True), START_US + 60_000_000, "", POLICY)
    assert (
        tell([recording("RE1", "completed")], call=told.call, policy=POLICY).record.completeness["complete"]
        == []
    )
    tick(told.call, START_US + 4_000_000_000, POLICY)
    settled = tick(told.call, START_US + 9_000_000_000, POLICY)
    (record,) = (effect for effect in settled.effects if type(effect) is CallRecord)
    assert record.completeness["complete"] == ["twilio_call"]


def test_what_is_not_polled_is_not_asked_for() -> None:
    assert live(answered_call(), policy=Policy()).asked == []
    only = live(answered_call(), policy=Policy(polled=("twilio_call_event",)))
    assert {asked.source for asked in only.asked} == {"twilio_call_event"}


@pytest.mark.parametrize("source", ["twilio_call", "twilio_call_event", "twilio_call_summary"])
def test_what_is_not_there_yet_is_asked_for_until_the_ladder_ends(source: str) -> None:
    lived = live(answered_call(), lambda *_: {"outcome": "not_ready"}, until_s=7000)
    assert [round(step, -1) for step in lived.steps(source)] == list(LADDERS[source].after_s)


def test_rows_that_still_change_are_read_again_until_they_do_not() -> None:
    contents = iter(["01", "02", "03", "03", "04"])

    def changing(request: FetchRequest, after_s: float) -> dict[str, Any]:
        if request.source != "twilio_insights_event":
            return success(request, after_s)
        return {"outcome": "success", "rows": 1, "content": next(contents)}

    lived = live(answered_call(), changing)
    assert lived.steps("twilio_insights_event") == [90, 180, 600, 1800]


def test_an_empty_answer_is_not_final_before_the_last_step() -> None:
    lived = live(answered_call(), lambda *_: {"outcome": "empty", "content": "00"}, until_s=7000)
    assert lived.steps("twilio_insights_event") == [90, 180, 600, 1800]
    assert lived.steps("twilio_call_event") == [900, 1200, 1800, 3600]
    assert lived.records[-1].completeness["complete"] == [
        "twilio_call",
        "twilio_call_event",
        "twilio_call_summary",
        "twilio_insights_event",
    ]


def test_a_fetch_that_failed_takes_no_step_and_is_asked_again_ever_more_slowly() -> None:
    def refused(request: FetchRequest, after_s: float) -> dict[str, Any]:
        return {"outcome": "auth_error"} if after_s < 1000 else success(request, after_s)

    steps = live(answered_call(), refused).steps("twilio_call")
    pauses = [round(b - a) for a, b in pairwise(steps)]
    assert pauses == [60, 120, 240, 480, 600]


def test_a_poller_whose_clock_is_behind_does_not_have_a_call_asked_for_without_a_pause() -> None:
    def steps(outcome: str) -> list[list[float]]:
        answers = {"outcome": outcome}
        lives = (live(answered_call(), lambda *_: answers, until_s=7000, behind_s=s) for s in (0, 3600))
        return [[round(step) for step in lived.steps("twilio_insights_event")] for lived in lives]

    for outcome in ("server_error", "no_account", "not_ready"):
        right, behind = steps(outcome)
        assert behind == right


def test_an_answer_ends_the_growing_pauses() -> None:
    fails = [True, True, False, True, False, False, False]
    outcomes = iter(["server_error" if failed else "not_ready" for failed in fails])

    def flapping(request: FetchRequest, after_s: float) -> dict[str, Any]:
        return {"outcome": next(outcomes)} if request.source == "twilio_call" else success(request, after_s)

    steps = live(answered_call(), flapping, policy=Policy(polled=("twilio_call",))).steps("twilio_call")
    assert [round(b - a) for a, b in pairwise(steps)] == [60, 120, 30, 60, 270, 1500]


def test_a_request_that_nobody_answers_is_not_repeated() -> None:
    """It lies in Kafka until a poller has answered it."""
    lived = live(answered_call(), lambda *_: None, until_s=7000)
    assert [asked.attempt for asked in lived.asked] == [1] * 4


def test_a_result_that_came_twice_or_too_late_changes_nothing() -> None:
    told = tell(answered_call(), policy=POLICY)
    request = told.all_of(FetchRequest)[0]
    came = result(request, outcome="not_ready")
    first = answered(told.call, came, START_US + 60_000_000, "", POLICY)
    before = dump(told.call)
    assert first == [FetchAnswered("twilio_call", "not_ready")]
    assert answered(told.call, came, START_US + 61_000_000, "", POLICY) == []
    other = msgspec.structs.replace(came, source="twilio_call_summary")
    assert answered(told.call, other, START_US + 61_000_000, "", POLICY) == []
    assert dump(told.call) == before


def test_a_schedule_that_is_behind_asks_at_once_and_then_leaves_time_between() -> None:
    late = [callback("completed", "3", END_S, CallDuration="49", received_s=END_S + 4000.0)]
    lived = live(late, lambda *_: {"outcome": "not_ready"}, until_s=9000, policy=Policy(polled=ALL))
    assert [round(at - 4000) for at in lived.steps("twilio_call_event")] == [0, 300, 900, 2700]


def test_calls_that_ended_before_the_worker_was_away_for_long_are_read_all_the_same() -> None:
    told = tell(answered_call(), policy=POLICY)
    back_us = START_US + 3 * 3600 * 1_000_000
    ticked = tick(told.call, back_us, POLICY)
    assert ticked.call is not None
    asked = [effect.source for effect in ticked.effects if type(effect) is FetchRequest]
    assert asked == ["twilio_insights_event", "twilio_call_event", "twilio_call_summary"]
    gone = tick(ticked.call, back_us + 7200 * 1_000_000, POLICY)
    assert gone.call is None


def test_what_is_overdue_when_it_is_planned_is_due_now_and_has_waited_for_nobody() -> None:
    row = calls_row("completed", received_s=3 * 86_400, end_time=rfc2822(END_S), duration="49")
    requests = tell([row], policy=POLICY).all_of(FetchRequest)
    assert len(requests) == 4
    assert {request.due_at for request in requests} == {utc(START_US + 3 * 86_400_000_000)}


def test_a_call_that_ended_long_before_it_was_told_of_is_read_behind_those_of_now() -> None:
    row = calls_row("completed", received_s=3 * 86_400, end_time=rfc2822(END_S), duration="49")
    lived = live([row], lambda *_: {"outcome": "not_ready"}, until_s=3 * 86_400 + 3000)
    assert len(lived.asked) > 4
    assert {asked.priority for asked in lived.asked} == {"backfill"}
    late = [callback("completed", "3", END_S, received_s=END_S + 7000.0)]
    assert {asked.priority for asked in live(late).asked} == {"heal", "terminal"}


def test_a_time_factor_runs_the_schedule_so_many_times_faster() -> None:
    lived = live(answered_call(), policy=Policy(polled=ALL, time_factor=60), until_s=1000)
    assert lived.steps("twilio_call_summary") == [30.0]
    assert lived.steps("twilio_call_event") == [15.0]


def test_a_row_that_told_the_end_leaves_only_the_price_to_be_read() -> None:
    row = calls_row("completed", received_s=56.0, end_time=rfc2822(END_S), duration="49")
    assert live([row]).steps("twilio_call") == [300.0]


def test_what_a_window_brought_is_not_asked_for() -> None:
    """A row with the price, read while a later step was waiting."""
    rows = [
        calls_row("completed", received_s=56.0, end_time=rfc2822(END_S), duration="49"),
        calls_row(
            "completed", updated=90, received_s=90.0, end_time=rfc2822(END_S), duration="49", price="-1"
        ),
    ]
    only = Policy(polled=("twilio_call",))
    lived = live(rows, policy=only, until_s=7000)
    assert lived.asked == []
    assert [record.completeness["complete"] for record in lived.records] == [[], [], ["twilio_call"]]
    assert live(rows[:1], policy=only).steps("twilio_call") == [300.0]
    unanswered = calls_row("busy", received_s=56.0, end_time=rfc2822(END_S))
    assert live([unanswered], policy=only).asked == []


def test_what_a_window_brought_was_read_in_the_end_whether_or_not_it_was_asked_for_first() -> None:
    policy = Policy(polled=("twilio_call",))
    told = [callback("busy", "1", END_S), calls_row("busy", received_s=600.0, end_time=rfc2822(END_S))]
    lives = live(told, lambda *_: None, policy=policy), live(reversed(told), policy=policy)
    assert [len(tell(some, policy=policy).all_of(FetchRequest)) for some in (told, told[::-1])] == [1, 0]
    assert [lived.records[-1].completeness["complete"] for lived in lives] == [["twilio_call"]] * 2


def test_a_result_whose_row_told_the_end_leaves_only_the_price_to_be_read() -> None:
    policy = Policy(polled=("twilio_call",))
    told = tell(answered_call(), policy=policy)
    (request,) = told.all_of(FetchRequest)
    row = calls_row("completed", received_s=56.0, end_time=rfc2822(END_S), duration="49")
    call = tell([row], call=told.call, policy=policy).call
    answered(call, result(request, outcome="success", content="01"), START_US + 56_000_000, "", policy)
    assert call.due_s == START_US // 1_000_000 + 56 + 300


def test_each_edge_of_a_call_is_read() -> None:
    client = [callback("completed", "3", END_S, To="client:anna", CallDuration="49")]
    edges = {asked.edge for asked in live(client).asked if asked.source == "twilio_insights_event"}
    assert edges == {"carrier_edge", "sdk_edge", "client_edge"}


def test_a_call_that_ended_in_the_future_is_read_as_if_it_had_ended_when_we_heard_of_it() -> None:
    """A provider's clock, or a date that it made up."""
    skewed = [
        callback("completed", "3", END_S, CallDuration="49", Timestamp="Fri, 01 Jan 2100 00:00:00 +0000")
    ]
    lived = live(skewed, until_s=8000)
    assert {asked.source for asked in lived.asked} == {source for source in LADDERS if "twilio" in source}


def test_an_overdue_call_is_asked_for_at_the_resource_that_knows_and_ends_by_its_row() -> None:
    policy = Policy(polled=ALL, overdue_s=100)
    call = tell([callback("initiated", "0", 0, received_s=0.0)], policy=policy).call
    ticked = tick(call, START_US + 100_000_000, policy)
    (request,) = ticked.effects
    assert (request.source, request.reason, request.attempt, request.priority) == (
        *("twilio_call", "overdue"),
        *(1, "heal"),
    )
    row = calls_row("completed", received_s=101.0, end_time=rfc2822(END_S), duration="49")
    told = tell([row], call=ticked.call, policy=policy)
    # The result of the overdue read is behind its row, and nobody awaits it any more.
    assert answered(told.call, result(request, outcome="success"), START_US + 101_000_000, "", policy) == []
    assert [fetch.overdue for fetch in told.call.fetches] == [False] * 4
    assert told.record.status == "completed"


def test_a_call_that_is_really_that_long_is_asked_for_more_and_more_rarely() -> None:
    policy = Policy(polled=ALL, overdue_s=100)
    lived = live(
        [callback("initiated", "0", 0, received_s=0.0)],
        lambda *_: {"outcome": "success", "rows": 1, "content": "01"},
        policy=policy,
        until_s=90_000,
    )
    assert [round(asked.after_s + END_S - 100) for asked in lived.asked] == [
        *(0, 300, 1800, 7200),
        *(21_600, 43_200),
    ]
    assert lived.call is None


def test_a_call_of_which_all_is_read_says_so_once_and_is_reconciled() -> None:
    requests = [
        logged(parameters(status, str(n), second), received_s=960.0)
        for status, n, second in [
            ("initiated", 0, 0),
            ("ringing", 1, 1),
            ("in-progress", 2, 6),
            ("completed", 3, 55),
        ]
    ]
    lived = live([*answered_call(), *requests[:3]], until_s=7000)
    assert lived.records[-1].completeness == {
        "expected": sorted(
            ["twilio_status_callback", *(source for source in ALL if source.startswith("twilio"))]
        ),
        "seen": ["twilio_call_event", "twilio_status_callback"],
        "complete": sorted(source for source in ALL if source.startswith("twilio")),
    }
    assert [e for e in lived.effects if type(e) is CallReconciled] == [CallReconciled("twilio", "match")]
    assert [record.settled for record in lived.records[-2:]] == [False, False]
    first_whole = [bool(record.completeness["complete"]) for record in lived.records]
    assert first_whole == [False] * (len(first_whole) - 1) + [True]


def test_a_callback_that_only_the_log_knows_is_missing() -> None:
    sent = [callback("initiated", "0", 0), callback("completed", "1", 55)]
    rows = [logged(parameters("initiated", "0", 0)), logged(parameters("completed", "1", 55))]
    lived = live([sent[0], *rows], until_s=9000)
    found = [e for e in lived.effects if type(e) in (CallReconciled, CallbackMissing)]
    assert found == [
        CallbackMissing("twilio_status_callback", "completed"),
        CallReconciled("twilio", "missing_callback"),
    ]


def test_a_call_that_leaves_unread_is_reconciled_with_what_is_there() -> None:
    lived = live(answered_call(), lambda *_: None)
    assert [e for e in lived.effects if type(e) is CallReconciled] == [
        CallReconciled("twilio", "missing_poll")
    ]
    assert lived.call is None
    assert lived.records[-1].completeness["complete"] == []


def test_a_call_of_a_provider_of_which_nothing_is_polled_is_not_reconciled() -> None:
    hangup = telnyx(telnyx_event("call.hangup", "e1", 10, hangup_cause="normal_clearing"))
    lived = live([hangup], policy=Policy(polled=("twilio_call",)))
    assert lived.call is None
    assert [one for one in lived.effects if type(one) is CallReconciled] == []
