"""Mixed deliveries of one call from all its sources, for the properties of the fold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    LEG_ID,
    OWN_PARAMETERS,
    TELNYX_KEY,
    TWILIO_KEY,
    Delivery,
    at,
    callback,
    calls_row,
    delivery,
    fetched,
    insight,
    logged,
    machine_detection,
    parameters,
    recording,
    rfc2822,
    streamed,
    telnyx,
    telnyx_event,
    telnyx_row,
)
from tests.core.error_log import tellings as error_log

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
TEXML_ID = "v3:abc"
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


@st.composite
def tellings(draw: st.DrawFn) -> Delivery:
    """A callback of any kind: itself, its row of the request log, or its CloudEvent."""
    kind = draw(st.sampled_from(sorted(OWN_PARAMETERS)))
    source, own = OWN_PARAMETERS[kind]
    told = {"CallSid": CALL_ID, "AccountSid": ACCOUNT, **own}
    received_s = draw(received)
    spelling = draw(st.sampled_from(("callback", "log", "stream")))
    if spelling == "log":
        return logged(told, received_s=received_s)
    if spelling == "stream":
        return streamed(kind, told, received_s=received_s)
    return delivery(source, TWILIO_KEY, told, received_s)


@st.composite
def summaries(draw: st.DrawFn) -> Delivery:
    row = {
        "call_sid": CALL_ID,
        "account_sid": ACCOUNT,
        "call_state": draw(st.sampled_from(("completed", "noanswer", "fail", "answered", "undialed", "new"))),
        "processing_state": draw(st.sampled_from(("partial", "complete"))),
        "end_time": draw(st.sampled_from((None, "", at(40)))),
        "connect_duration": draw(st.sampled_from((None, 0, 34))),
        "properties": {"last_sip_response_num": draw(st.sampled_from((None, 0, 200, 480)))},
    }
    return delivery("twilio_call_summary", TWILIO_KEY, row, draw(received))


@st.composite
def entries(draw: st.DrawFn) -> Delivery:
    """Few entries of the error log, each told by several sources that know more or less of it."""
    sid = draw(st.sampled_from(("NO1", "NO2")))
    code = draw(st.sampled_from(("11200", "12100", "15003", "13227", "")))
    second, received_s = draw(seconds), draw(received)
    word = draw(st.sampled_from(("error", "warning", "notice", "new")))
    source = draw(st.sampled_from(("debugger", "stream", "alert", "notification")))
    known = error_log.details(
        code, url=draw(st.sampled_from((error_log.URL, "https://hooks.example.test/tw")))
    )
    payload = draw(st.sampled_from((known, {"resource_sid": CALL_ID}, {**known, "webhook": {}})))
    told: dict[str, Any] = {"sid": sid, "second": second, "received_s": received_s}
    if source == "debugger":
        return error_log.debugger(payload, level=word.upper(), **told)
    if source == "stream":
        return error_log.streamed("{" if draw(st.booleans()) else payload, level=word.upper(), **told)
    if source == "notification":
        return error_log.notification(code, log=draw(st.sampled_from(("0", "1", ""))), **told)
    return error_log.alert(code, level=word, whole=draw(st.booleans()), **told)


twilio_deliveries = st.one_of(
    *(callbacks(), rows(), log_rows(), insights, recordings, detections, entries(), tellings(), summaries())
)


def telnyx_delivery(
    event: dict[str, Any], *codes: int | None, status: str = "delivered", received_s: float = 700.0
) -> Delivery:
    """A row of Telnyx' webhook_deliveries: `codes` are the answers to the attempts, the newest first."""
    row = {
        "record_type": "webhook_delivery",
        "id": f"delivery-{event['id']}",
        "status": status,
        "finished_at": event["occurred_at"],
        "attempts": [
            {
                "started_at": event["occurred_at"],
                "finished_at": event["occurred_at"],
                "http": {
                    "request": {"url": "https://hooks.example.test/tx", "method": "POST"},
                    "response": None if code is None else {"status": code},
                },
            }
            for code in codes
        ],
        "webhook": event,
    }
    return delivery("telnyx_webhook_delivery", TELNYX_KEY, row, received_s, "/v2/webhook_deliveries")


def texml(status: str, number: str | None, second: int | None, *, received_s: float, **more: str) -> Delivery:
    """A TeXML callback: Twilio's form with Telnyx' ids."""
    body = {**parameters(status, number, second, TEXML_ID), **more}
    return delivery("telnyx_texml_callback", f"telnyx:{TEXML_ID}", body, received_s, "/callbacks/telnyx")


@st.composite
def telnyx_deliveries(draw: st.DrawFn) -> Delivery:
    """Few ids, each of one event; a report may lack fields that another has."""
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
    told = draw(st.sampled_from(("webhook", "call_events", "webhook_deliveries")))
    if told == "webhook":
        return telnyx(event, attempt=draw(st.integers(1, 2)), received_s=draw(received))
    if told == "webhook_deliveries":
        codes = draw(st.lists(st.sampled_from((200, 503, None)), max_size=2))
        status = draw(st.sampled_from(("delivered", "failed", "queued")))
        return telnyx_delivery(event, *codes, status=status, received_s=draw(received))
    return telnyx_row(event, status=draw(st.sampled_from(("delivered", "failed"))), received_s=draw(received))


@st.composite
def texml_callbacks(draw: st.DrawFn) -> Delivery:
    more: dict[str, str] = {}
    if (duration := draw(optional_texts)) is not None:
        more["CallDuration"] = duration
    if draw(st.booleans()):
        more["CallLegId"] = draw(st.sampled_from((LEG_ID, "leg-2")))
    if (code := draw(st.sampled_from((None, "200", "486")))) is not None:
        more["SipHangupCause"] = code
    if (who := draw(st.sampled_from((None, "human", "machine_start")))) is not None:
        more["AnsweredBy"] = who
    second = draw(st.one_of(st.none(), seconds))
    return texml(draw(st.sampled_from(PROGRESS)), draw(numbers), second, received_s=draw(received), **more)


def lists_of(one: st.SearchStrategy[Delivery]) -> st.SearchStrategy[list[Delivery]]:
    return st.lists(one, min_size=1, max_size=12)


fetch_results = st.one_of(
    st.builds(
        fetched,
        st.sampled_from(("twilio_call", "twilio_call_event", "twilio_insights_event", "twilio_call_summary")),
        attempt=st.integers(1, 2),
        outcome=st.sampled_from(("success", "empty", "not_ready", "network_error")),
        complete=st.booleans(),
        edge=st.sampled_from((None, "carrier_edge")),
        reason=st.sampled_from(("ended", "overdue")),
        received_s=received,
    ),
    st.builds(
        fetched,
        st.just("telnyx_call_event"),
        outcome=st.sampled_from(("success", "empty")),
        reason=st.sampled_from(("ended", "overdue")),
        key=st.just(TELNYX_KEY),
        received_s=received,
    ),
)
"""Results of reads, awaited or not."""

several = st.one_of(*map(lists_of, (twilio_deliveries, telnyx_deliveries(), texml_callbacks())))
orders = st.randoms(use_true_random=False)


crowds = st.lists(
    st.one_of(
        st.builds(insight, st.sampled_from("abcdefgh"), st.integers(0, 400), received_s=received),
        st.builds(recording, st.integers(0, 70).map("RE{}".format), st.sampled_from(("completed",))),
        st.builds(callback, st.sampled_from(PROGRESS), st.integers(0, 300).map(str), seconds),
    ),
    min_size=100,
    max_size=260,
)
