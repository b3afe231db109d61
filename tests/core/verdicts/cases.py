"""Calls that did not succeed: what was reported of each, and whose fault it was."""

from __future__ import annotations

from tests.core.deliveries import (
    CALL_ID,
    TWILIO_KEY,
    Delivery,
    callback,
    calls_row,
    delivery,
    insight,
    rfc2822,
    telnyx_event,
    telnyx_row,
)
from tests.core.error_log import tellings as error_log
from tests.core.verdicts.reports import (
    CHILD,
    CLIENT,
    DEVICE,
    INBOUND,
    TRUNK,
    api,
    asked,
    client,
    command,
    entry,
    fetch_failed,
    hangup,
    refused,
    streamed_api,
    summary,
    twilio,
)

_LOST = telnyx_row(telnyx_event("call.initiated", "e1", 0, direction="incoming"), status="failed")
_ICE = client("ice-connection-state", "failed", 2, level="ERROR")
_ANSWERED_4S = [
    callback("in-progress", "0", 0, **INBOUND),
    callback("completed", "1", 4, CallDuration="4", **INBOUND),
]
_ANSWERED_120S = [
    callback("in-progress", "2", 6),
    callback("completed", "3", 126, CallDuration="120", SipResponseCode="200"),
]

EXAMPLES: dict[str, tuple[list[Delivery], str]] = {
    "01 busy": (twilio("busy", 486, rang_s=2), "callee high"),
    "02 no answer": (twilio("no-answer", 487, rang_s=30), "callee medium"),
    "03 not in service, twice": ([*twilio("failed", 404), summary(q850_cause=1)], "callee high"),
    "04 not in service": (twilio("failed", 404), "callee medium"),
    "05 country not permitted": ([*twilio("failed", **CHILD), entry("13227")], "request high"),
    "06 caller id not owned": (twilio("failed", ErrorCode="21212"), "request high"),
    "07 no circuit": ([*twilio("failed", 503), summary(q850_cause=34)], "carrier high"),
    "08 analytics": ([*twilio("failed", 603), entry("32017")], "spam_block high"),
    "09 608": (twilio("failed", 608), "spam_block high"),
    "10 canceled by the API": ([*twilio("canceled"), api(0, Status="canceled")], "application high"),
    "11 answer URL fails": ([*_ANSWERED_4S, asked(500, 1), fetch_failed("11200")], "application high"),
    "12 ICE": (
        [
            *twilio("failed", rang_s=4, **CLIENT),
            client("get-user-media", "succeeded"),
            _ICE,
            client("connection", "error", 2, level="ERROR", code=53405),
        ],
        "network high",
    ),
    "13 31603 and broken TwiML": (
        [
            *twilio("failed", **CLIENT),
            client("connection", "error", level="ERROR", code=31603),
            entry("12100"),
        ],
        "application high",
    ),
    "14 busy at Telnyx": (hangup("user_busy", 486), "callee high"),
    "15 D13": (
        [*hangup("unspecified"), refused("10010", "Dialed number not whitelisted D13")],
        "request high",
    ),
    "16 own hangup": (
        [*hangup("originator_cancel", 487, by="caller"), command("hangup")],
        "application high",
    ),
    "17 timeout": (hangup("timeout", 487, after_s=35), "callee medium"),
    "18 nothing known": (
        [
            *twilio("failed"),
            calls_row("failed", end_time=rfc2822(1)),
            summary(last_sip_response_num=0, q850_cause=0),
        ],
        "unknown",
    ),
    "19 403": (twilio("failed", 403), "unknown"),
    "20 603 at once": (twilio("failed", 603), "unknown"),
    "21 child canceled": (twilio("canceled", 487, rang_s=9, **CHILD), "unknown"),
    "22 13224 of a SIP address": ([*twilio("failed", 400, **DEVICE), entry("13224")], "unknown"),
    "23 503 at Telnyx": (hangup("unspecified", 503), "unknown"),
    "24 31005": (
        [*twilio("failed", **CLIENT), client("connection", "error", level="ERROR", code=31005)],
        "unknown",
    ),
    "guard: callbacks failed": ([*_ANSWERED_120S, entry("15003", 126), entry("15002", 126)], "null"),
    "guard: time limit": (hangup("time_limit", answered=True), "null"),
    "guard: one origination URI": ([*_ANSWERED_120S, entry("32011")], "null"),
}
"""The examples of the rules' source; the 25th, a call without an end, is a test of its own."""

MORE: dict[str, tuple[list[Delivery], str]] = {
    # Admission
    "account not active": (twilio("failed", 603, ErrorCode="10001"), "request high"),
    "invalid number": (twilio("failed", ErrorCode="13224"), "request medium"),
    "invalid number that the network calls unallocated": (
        twilio("failed", 404, ErrorCode="13224"),
        "request low",
    ),
    "blocked destination": (twilio("failed", 403, ErrorCode="13225"), "request medium"),
    "API failed": (twilio("failed", ErrorCode="20500"), "provider high"),
    "a code of Twilio's at Telnyx": ([*hangup("unspecified"), refused("21212", "")], "unknown"),
    "a code that nobody lists": (twilio("failed", ErrorCode="99999"), "unknown"),
    "a recording's error is not the call's": (
        [
            *twilio("failed"),
            delivery(
                "twilio_recording_callback",
                TWILIO_KEY,
                {
                    "CallSid": CALL_ID,
                    "RecordingSid": "RE1",
                    "RecordingStatus": "failed",
                    "ErrorCode": "11200",
                },
                20.0,
            ),
        ],
        "unknown",
    ),
    # Blocks
    "unwanted": (twilio("failed", 607, rang_s=3), "spam_block high"),
    "blocked, but it rang": ([*twilio("failed", 603, rang_s=3), entry("32017")], "spam_block medium"),
    "locked number at Telnyx": (
        [*hangup("call_rejected", 403), refused("10010", "D54")],
        "spam_block medium",
    ),
    # Commands
    "canceled by the API, in Event Streams": (
        [*twilio("canceled", 487, rang_s=2), streamed_api(2, Status="completed")],
        "application high",
    ),
    "command after the end": (
        [*twilio("canceled", 487, rang_s=2), api(30, Status="canceled")],
        "application medium",
    ),
    "a command that was refused": (
        [*twilio("busy", 486, rang_s=4), api(3, 400, Status="completed")],
        "callee high",
    ),
    "canceled without a command": (twilio("canceled", 487, rang_s=2), "application medium"),
    "another update is not a command": (
        [*twilio("failed"), api(0, Url="https://app.example.test/x")],
        "unknown",
    ),
    "the end of a conference is no command to the call": (
        [*twilio("failed"), api(0, of="Conferences/CF1", Status="completed")],
        "unknown",
    ),
    "rejected by TwiML": (
        [
            *twilio("busy", rang_s=0, **INBOUND),
            asked(200, body="<?xml version='1.0'?><Response>\n<Reject/></Response>"),
        ],
        "application high",
    ),
    # Call flow
    "answer URL times out": ([*twilio("failed", rang_s=15, **INBOUND), asked(None, 16)], "application high"),
    "answer URL answers too late": (
        [*twilio("failed", rang_s=15, **INBOUND), asked(200, 16, took_ms=15_000)],
        "application high",
    ),
    "fetch failed without its row": (
        [*twilio("failed", **INBOUND), fetch_failed("11205", status=None)],
        "application high",
    ),
    "fallback answered": (
        [*twilio("failed", rang_s=3, **INBOUND), asked(500, 1), fetch_failed("11200"), asked(200, 2)],
        "unknown",
    ),
    "a warning just before the end": (
        [*twilio("completed", rang_s=2), entry("12200", 3), entry("13221", 3)],
        "null",
    ),
    "error long before the end": ([*_ANSWERED_120S, asked(500, 6)], "null"),
    "error just before the end": ([*_ANSWERED_120S, asked(502, 125)], "application high"),
    "when an error was received is not when it was": (
        [
            *_ANSWERED_4S,
            delivery(
                "twilio_debugger",
                TWILIO_KEY,
                error_log.debugger_form(error_log.details("11200", status=500)) | {"Timestamp": ""},
                4.5,
            ),
        ],
        "null",
    ),
    "error after a person hung up": (
        [*_ANSWERED_120S, asked(502, 126), summary(disconnected_by="callee")],
        "null",
    ),
    "a partial summary says nothing": (
        [*_ANSWERED_120S, asked(502, 126), summary("partial", disconnected_by="callee")],
        "application high",
    ),
    "a callback that cannot be reached": (
        [
            *twilio("failed"),
            error_log.debugger(
                error_log.details(
                    "11200",
                    asked={
                        "CallSid": CALL_ID,
                        "CallStatus": "failed",
                        "CallbackSource": "call-progress-events",
                    },
                )
            ),
        ],
        "unknown",
    ),
    "an 11200 about who knows what": ([*twilio("failed"), entry("11200")], "unknown"),
    "webhook of an incoming call lost": (
        [*hangup("normal_clearing", by="caller", direction="incoming"), _LOST],
        "application high",
    ),
    "webhook lost, but a command came": (
        [*hangup("normal_clearing", by="caller", direction="incoming"), _LOST, command("answer")],
        "unknown",
    ),
    "webhook lost, and a dial is no answer to it": (
        [*hangup("normal_clearing", by="caller", direction="incoming"), _LOST, command("dial")],
        "application high",
    ),
    "rejected by a command": (
        [*hangup("call_rejected", 603, after_s=0.6, direction="incoming"), command("reject", 0.5)],
        "application high",
    ),
    # Clients
    "microphone denied": (
        [*twilio("failed", **CLIENT), client("get-user-media", "denied", level="ERROR", code=31401)],
        "network high",
    ),
    "ICE failed and healed": (
        [*twilio("failed", rang_s=4, **CLIENT), _ICE, client("connection", "reconnected", 3)],
        "unknown",
    ),
    "ICE failed, then a person hung up": (
        [*twilio("failed", rang_s=4, **CLIENT), _ICE, client("connection", "disconnected-by-local", 4)],
        "unknown",
    ),
    "a person declined behind a weak network": (
        [*twilio("no-answer", 603, rang_s=4, **CLIENT), client("ice-gathering-state", "timeout")],
        "callee medium",
    ),
    "declined before it rang, behind a weak network": (
        [*twilio("failed", 603, **CLIENT), client("ice-gathering-state", "timeout")],
        "unknown",
    ),
    "ICE failed, and a gateway names a cancel": (
        [*twilio("failed", rang_s=4, **CLIENT), _ICE, insight("cancel", 3, edge="sip_edge")],
        "network high",
    ),
    "expired token": (
        [*twilio("failed", **CLIENT), client("connection", "error", level="ERROR", code=20104)],
        "request high",
    ),
    "the carrier's edge repeats a SIP code": (
        [*twilio("failed", 404), insight("error", 1, level="ERROR", carrier_edge={"error": {"code": 31404}})],
        "callee medium",
    ),
    "a relay's socket failed, told by the carrier's edge": (
        [
            *_ANSWERED_4S,
            insight(
                "error",
                3,
                level="ERROR",
                edge="carrier_edge",
                conversation_relay_data={"error": {"error_code": "64102"}},
            ),
        ],
        "application high",
    ),
    "a client's warning is no error": (
        [*twilio("failed", **CLIENT), client("connection", "error", level="WARNING", code=31003)],
        "unknown",
    ),
    "SIP endpoint silent": ([*twilio("failed", 408, **DEVICE), entry("32011")], "network high"),
    # Codes
    "SIP endpoint not registered": (twilio("failed", 480, **DEVICE), "callee medium"),
    "nobody registered": (twilio("no-answer", 480, **INBOUND), "request medium"),
    "declined after ringing": (twilio("no-answer", 603, rang_s=4), "callee medium"),
    "codes of a trunk": (twilio("failed", 488, **DEVICE), "request medium"),
    "no route": ([*twilio("failed", 404), summary(q850_cause=3)], "carrier medium"),
    "the network contradicts": ([*twilio("busy", 486, rang_s=2), summary(q850_cause=28)], "callee medium"),
    "an echo is not a witness": ([*twilio("failed", 503), summary(q850_cause=41)], "carrier medium"),
    "no response and nobody there": ([*twilio("failed", 408), summary(q850_cause=18)], "callee low"),
    "the summary fills the code": (
        [*twilio("failed"), summary(call_state="fail", last_sip_response_num=486)],
        "callee high",
    ),
    "two ends": (
        [*twilio("busy", 486, rang_s=2), calls_row("failed", end_time=rfc2822(3))],
        "unknown",
    ),
    "two ends by callback": ([*twilio("busy", 486, rang_s=2), callback("failed", None, 2)], "callee medium"),
    "carrier down, 500": (twilio("failed", 500), "carrier low"),
    # Telnyx
    "rejected at once": (hangup("call_rejected", 603, after_s=0.6), "unknown"),
    "rejected after a while": (hangup("call_rejected", 603, after_s=8), "callee medium"),
    "rejected after a while, not by the callee": (hangup("call_rejected", 603, by="unknown"), "unknown"),
    "rejected after a while, given up by the caller": (hangup("call_rejected", 603, by="caller"), "unknown"),
    "rejected by Telnyx": (hangup("call_rejected", 403), "request medium"),
    "canceled without a row": (hangup("originator_cancel", 487, by="caller"), "application medium"),
    "caller gave up": (hangup("originator_cancel", 487, by="caller", direction="incoming"), "unknown"),
    "not found": (hangup("not_found", 404), "callee medium"),
    "not assigned": (hangup("not_found", 404, direction="incoming"), "request medium"),
    "busy or declined in a browser": (hangup("user_busy", to="sip:gencred@sip.telnyx.test"), "callee low"),
    "a cause in capitals": (hangup("MANAGER_REQUEST"), "request medium"),
    "a cause that says nothing": (hangup("unspecified", 404), "callee low"),
    "no route at Telnyx": ([*hangup("unspecified", 503), refused("10010", "PE2")], "provider medium"),
    # The status alone
    "busy": (twilio("busy"), "callee medium"),
    "not answered at once": (twilio("no-answer", rang_s=4), "callee low"),
    "it rang and rang": (twilio("no-answer", rang_s=12), "callee medium"),
    "an incoming call that nobody took": (twilio("no-answer", rang_s=12, **INBOUND), "unknown"),
    "canceled": (twilio("canceled"), "application medium"),
    "a trunk's caller gave up": (twilio("canceled", 487, rang_s=9, **TRUNK), "unknown"),
    "a trunk's caller gave up at once": (twilio("canceled", **TRUNK), "unknown"),
    "a child canceled": (twilio("canceled", **CHILD), "unknown"),
    "answered": (_ANSWERED_120S, "null"),
}
"""And more of them."""
