"""What became of the callbacks that a provider's own records say were sent."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from stream.core.delivery.audit import SENT_CAP, is_own_url, with_sent
from stream.core.effects import CallbackAudited
from stream.core.events import SentCallback
from stream.core.policy import CallPolicy
from tests.core.deliveries import (
    ACCOUNT,
    Delivery,
    answered_call,
    callback,
    logged,
    machine_detection,
    parameters,
    recording,
    telnyx,
    telnyx_event,
    telnyx_row,
)
from tests.core.error_log.tellings import debugger, details
from tests.core.folding import tell
from tests.core.lives import POLICY, live

URL = "https://hooks.example.test/tw"
STEPS = (("initiated", "0", 0), ("ringing", "1", 1), ("in-progress", "2", 6), ("completed", "3", 55))


def row(step: int, *, code: int | None = 204, url: str = URL, **more: str) -> Delivery:
    return logged({**parameters(*STEPS[step]), **more}, code=code, url=url)


def came(*steps: int) -> list[Delivery]:
    return [callback(*STEPS[step]) for step in steps]


def found(deliveries: list[Delivery], policy: CallPolicy = POLICY) -> list[tuple[str, str]]:
    """(event, result) of the audit in the last record; the effects say the same and what was delivered."""
    lived = live(deliveries, policy=policy)
    listed = [(one.name, one.result) for one in lived.records[-1].delivery_audit]
    told = [(one.event, one.result) for one in lived.effects if type(one) is CallbackAudited]
    assert [one for one in told if one[1] != "delivered"] == listed
    return listed


def test_a_callback_that_was_sent_and_did_not_come_is_missing_where_others_sent_there_came() -> None:
    whole = [row(step) for step in range(4)]
    assert found([*came(0, 2, 3), *whole]) == [("ringing", "missing")]
    assert found([*came(0, 1, 2, 3), *whole]) == []
    lived = live([*came(0, 1, 2, 3), *whole])
    assert [one.result for one in lived.effects if type(one) is CallbackAudited] == ["delivered"] * 4
    assert lived.effects.count(CallbackAudited("twilio", ACCOUNT, URL, "answered", "delivered")) == 1


def test_what_was_sent_elsewhere_proves_nothing_of_us() -> None:
    """Neither of calls that have no callbacks here, nor of a second endpoint of the application."""
    assert found([row(step) for step in range(4)]) == []
    elsewhere = "https://other.example.test/status"
    assert found([*came(0, 2, 3), row(0), row(1, url=elsewhere), row(2), row(3)]) == []
    assert found([*came(0, 1, 2, 3), row(3), row(3, url=elsewhere)]) == []


def test_the_gateway_s_own_url_needs_no_callback_that_came() -> None:
    own = "https://calls.example.test/callbacks/twilio"
    assert found([row(3, url=own)]) == [("completed", "missing")]
    policy = CallPolicy(polled=POLICY.polled, public_url="https://us.example.test")
    assert found([row(3, url=own)], policy) == []
    assert is_own_url("https://US.example.test/callbacks/telnyx", policy.public_url)


@pytest.mark.parametrize(
    ("code", "url", "result"),
    [
        (500, URL, "refused_by_application"),
        (403, "https://calls.example.test/callbacks/twilio", "refused_by_us"),
        (None, URL, "missing"),
    ],
)
def test_a_refusal_is_told_with_who_refused_and_no_answer_is_no_refusal(
    code: int | None, url: str, result: str
) -> None:
    deliveries = [*came(0, 2, 3), row(0), row(1, code=code, url=url), row(2)]
    assert found(deliveries) == [("ringing", result)]
    assert found([*came(1), *deliveries]) == []
    taken = row(1, code=204, url=url)
    assert ("ringing", "missing") in found([*deliveries, taken])


def test_an_endpoint_that_refused_what_another_one_took_has_refused_it() -> None:
    first = "https://other.example.test/status"
    failed_over = [*came(0, 1, 2, 3), row(3, code=500, url=first), row(3)]
    assert found(failed_over) == [("completed", "refused_by_application")]


def test_a_callback_behind_its_gap_came_late() -> None:
    late = callback(*STEPS[1], received_s=500.0)
    assert found([*came(0, 2, 3), late, *(row(step) for step in range(4))]) == [("ringing", "late")]


def test_a_callback_behind_the_read_that_healed_its_gap_came_late_too() -> None:
    healed = [*came(0, 2, 3), *(row(step) for step in range(4))]
    lived = live([*healed, callback(*STEPS[1], received_s=1500.0)])
    first, last = lived.records[1:3]
    assert [[(one.name, one.result) for one in record.delivery_audit] for record in (first, last)] == [
        [("ringing", "missing")],
        [("ringing", "late")],
    ]
    assert [[(gap["sequence_number"], gap["closed_by"]) for gap in one.gaps] for one in (first, last)] == [
        [(1, "poll_heal")],
        [(1, "late_arrival")],
    ]


def test_a_callback_whose_number_a_read_has_told_first_and_that_was_no_gap_is_in_time() -> None:
    rows = [logged(parameters(*STEPS[step]), url=URL, received_s=1.0) for step in range(2)]
    assert found([*came(0), *rows, *came(1, 2, 3), row(2), row(3)]) == []


def test_callbacks_of_recordings_and_detectors_are_audited_too() -> None:
    about = {"CallSid": parameters(*STEPS[3])["CallSid"], "AccountSid": ACCOUNT}
    recorded = {**about, "RecordingSid": "RE1", "RecordingStatus": "completed"}
    detected = {**about, "AnsweredBy": "human", "MachineDetectionDuration": "900"}
    rows = [row(3), logged(recorded, url=URL), logged(detected, url=URL)]
    (name, result), (other, _) = found([*came(0, 1, 2, 3), *rows])
    assert (result, name == other) == ("missing", False)
    both = [recording("RE1", "completed"), machine_detection("human", 60.0)]
    assert found([*came(0, 1, 2, 3), *both, *rows]) == []


def test_telnyx_says_of_each_webhook_whether_it_was_delivered() -> None:
    events = [telnyx_event(f"call.{name}", f"e{n}", n) for n, name in enumerate(("initiated", "answered"))]
    hangup = telnyx_event("call.hangup", "e9", 20, hangup_cause="normal_clearing")
    rows = [telnyx_row(one, received_s=50.0) for one in (*events, hangup)]
    some = [telnyx(events[0], received_s=1.0), telnyx(hangup, received_s=21.0)]
    assert found([*some, *rows]) == [("answered", "missing")]
    failed = [rows[0], telnyx_row(events[1], status="failed", received_s=50.0), rows[2]]
    assert found([*some, *failed]) == [("answered", "missing")]


def test_the_error_log_proves_a_refusal_before_the_request_log_can_be_read() -> None:
    asked = parameters(*STEPS[1])
    own = "https://calls.example.test/callbacks/twilio"
    entry = debugger(details("15003", url=own, status=503, asked=asked), level="WARNING")
    assert found([*came(0, 2, 3), entry]) == [("ringing", "refused_by_us")]
    assert found([*came(0, 2, 3), entry, row(1, code=503, url=own)]) == [("ringing", "refused_by_us")]
    unreachable = debugger(details("11200", url=URL, status=None, asked=asked))
    assert found([*came(0, 2, 3), unreachable, row(0)]) == []  # no record of the event itself: see its gap


def test_an_audit_does_not_depend_on_the_order() -> None:
    deliveries = [*answered_call()[1:], row(0), row(1, code=500), row(1), row(3)]
    audits: list[Any] = []
    for order in list(permutations(deliveries))[::97]:
        told = tell(list(order))
        audits.append((told.call.sent, told.record.delivery_audit))
    assert audits.count(audits[0]) == len(audits)
    assert [(one.name, one.result) for one in audits[0][1]] == [("initiated", "missing")]


def test_only_so_many_records_are_kept_whichever_come_first() -> None:
    many = [SentCallback(n, URL, refused=False) for n in range(SENT_CAP + 5)]
    kept = []
    for order in (many, many[::-1]):
        known: tuple[SentCallback, ...] = ()
        for one in order:
            known = with_sent(known, one)
        kept.append(known)
    assert kept[0] == kept[1] == tuple(many[:SENT_CAP])
    assert with_sent(kept[0], many[0]) is kept[0]
