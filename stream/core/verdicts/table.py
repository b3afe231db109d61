"""Whose fault it was: the one table. Rows are in the order in which evidence decides.

Of the rows about one fact, the first whose conditions hold counts. Rows about error codes are in
`error_codes`. The table is printed by `callstream verdicts`.
"""

from __future__ import annotations

from stream.core.verdicts.error_codes import ERROR_CODE_ROWS
from stream.core.verdicts.row import Row
from stream.core.verdicts.sip_codes import CODE_ROWS

UNKNOWN = "unknown"
HELP: dict[str, str] = {
    "application": "Open the request in the evidence and repeat it from outside: status, TLS, time, TwiML."
    " Look at the last deployment; after a cancel, find the job that sent the command.",
    "request": "Correct what was asked for: number, caller id, permission, limit, funds or configuration."
    " Unchanged, it fails again; after a limit, slow down.",
    "provider": "Look at the provider's status page, retry with a pause or at the second provider, and open"
    " a ticket with the call ids and the code.",
    "carrier": "Retry once later or over another route. If one prefix repeats, send the provider three call"
    " ids with times.",
    "callee": "Nothing to repair. Follow the retry policy; retire numbers that are out of service.",
    "network": "Ask for the client's report: firewall, TURN ports, VPN, microphone. At SIP equipment, check"
    " NAT, access lists and registration.",
    "spam_block": "Stop retrying from this number. Check its attestation and its registration with the"
    " analytics engines, and ask for redress.",
    UNKNOWN: "Read in the evidence what is missing, wait for the reads that are due, then look at the"
    " provider's console. Blame nobody from this record.",
}
"""What each fault means for the engineer on call."""

FAULTS: tuple[str, ...] = tuple(HELP)
RUNGS: dict[int, str] = {
    1: "Admission: the request was refused",
    2: "An explicit block for reputation",
    3: "A command of the application before the end",
    4: "An error of the call flow before the end",
    5: "Clients, SIP endpoints and their media",
    6: "SIP codes, hangup causes and causes of the telephone network",
    7: "The status alone",
}
"""The order in which evidence decides."""

_ICE = "media:reconnected"


def _token(values: str, reason: str, fault: str = "request", confidence: str = "high", rung: int = 1) -> Row:
    return Row(rung, "error_text", values, fault, confidence, reason, "O XC", needs="telnyx")


_ADMISSION = (
    _token("D1 D2 D3 D4 D5 D10 D22 D56 P05 P15", "A limit of calls or channels was reached."),
    _token("D11 D14 D50 D59", "The number is not valid."),
    _token("D12 D13 D24 D41 D58 D60 TM1", "The destination is not allowed or not covered."),
    _token(
        "D7 D15 D16 D17 D18 D19 D25 D26 D27 D28 D29 D30 D31 D38 D42 D44 D48 D21",
        "The profile, the connection or the account does not permit it.",
    ),
    _token("D35 D36 D46 D49 D51 D61 D63 D64 D65", "The caller id or the tier does not permit it."),
    _token("D9 D39", "A limit of spending or rate was reached."),
    _token("D52", "Inbound screening refused the call.", confidence="medium"),
    _token("B3", "Secure media does not match."),
    _token("D40", "The provider has no route to a number of its own.", "provider", "medium"),
    _token("PE1 PE2 PE3 PE4 PE5 PE6", "The provider has no route.", "provider", "medium"),
    _token("P29", "The provider's registrar failed.", "provider"),
    _token("D54", "The calling number is locked for its reputation.", "spam_block", rung=2),
    _token("TV1", "Several carriers failed.", "carrier", rung=6),
    _token("RG1", "The called device is not registered.", "callee", "medium", rung=6),
)

_BLOCKS = (
    Row(
        2,
        "sip_response_code",
        "607",
        "spam_block",
        "high",
        "The called party marked it as unwanted.",
        "O RFC8197",
    ),
    Row(
        2,
        "sip_response_code",
        "608",
        "spam_block",
        "high",
        "An analytics engine refused the call.",
        "O RFC8688",
    ),
)

_COMMANDS = (
    Row(
        3,
        "command",
        "hangup reject",
        "application",
        "high",
        "The application ended the call itself.",
        "O TD",
        within_s=1e9,
    ),
)

_CALL_FLOW = (
    Row(
        4,
        "twiml",
        "reject",
        "application",
        "high",
        "The application rejected the call.",
        "O RJ",
        needs="inbound",
    ),
    Row(
        4,
        "request",
        "4xx 5xx timeout none",
        "application",
        "high",
        "The application failed to answer with instructions.",
        "M",
        within_s=10,
        recovered_by="request:2xx",
    ),
    Row(
        4,
        "request",
        "invalid",
        "application",
        "medium",
        "The provider could not use the application's answer.",
        "M",
        within_s=10,
        recovered_by="request:2xx",
    ),
    Row(
        4,
        "delivery",
        "call.initiated",
        "application",
        "high",
        "The webhook of the incoming call was not delivered, and no command came.",
        "M",
        needs="telnyx inbound",
        unless="answered command:other command:hangup command:reject",
    ),
)

_MEDIA = (
    Row(
        5,
        "media",
        "get-user-media:denied get-user-media:failed",
        "network",
        "high",
        "The client had no microphone.",
        "O SE",
    ),
    Row(
        5,
        "media",
        "ice-connection-state:failed dtls-transport-state:failed pc-connection-state:failed",
        "network",
        "high",
        "The client's media connection failed shortly before the end.",
        "O SE",
        unless="media:person",
        within_s=30,
        recovered_by=_ICE,
    ),
    Row(
        5,
        "media",
        "network-quality-warning-raised",
        "network",
        "medium",
        "The client's network was weak until the end.",
        "O FAQ",
        needs="answered",
        unless="media:person",
        recovered_by="media:network-quality-warning-cleared",
        warning=True,
    ),
    Row(
        5,
        "media",
        "ice-gathering-state:none ice-gathering-state:timeout ice-connectivity-lost"
        " constant-audio-input-level",
        "network",
        "low",
        "The client's network or microphone was weak.",
        "O FAQ",
        unless="media:person",
        recovered_by=_ICE,
        warning=True,
    ),
)


def _status(status: str, needs: str, fault: str, confidence: str, reason: str) -> Row:
    return Row(7, "status", status, fault, confidence, reason, "M", needs=needs)


_STATUSES = (
    _status("busy no-answer", "inbound", "unknown", "", "A caller who gives up looks the same."),
    _status("busy", "", "callee", "medium", "The called line was busy."),
    _status("no-answer", "rang:10", "callee", "medium", "It rang, and nobody answered."),
    _status("no-answer", "", "callee", "low", "Nobody answered, or somebody declined."),
    _status(
        "canceled",
        "outbound-api root",
        "application",
        "medium",
        "The call was canceled before it was answered.",
    ),
    _status("canceled", "", "unknown", "", "A sibling was answered, or the caller gave up."),
    _status("failed", "", "unknown", "", "Nothing says why the call failed."),
)

TABLE: tuple[Row, ...] = tuple(
    sorted(
        (
            *_ADMISSION,
            *ERROR_CODE_ROWS,
            *_BLOCKS,
            *_COMMANDS,
            *_CALL_FLOW,
            *_MEDIA,
            *CODE_ROWS,
            *_STATUSES,
        ),
        key=lambda row: row.rung,
    )
)
"""All rows, by rung."""

SOURCES: dict[str, str] = {
    "TD": "Twilio's error dictionary, <https://www.twilio.com/docs/api/errors>",
    "TP": "The page of the code in Twilio's error dictionary, newer than the list",
    "SE": "Twilio Voice SDKs, error codes, <https://www.twilio.com/docs/voice/sdks/error-codes>",
    "VJ": "twilio-voice.js, `lib/twilio/errors/generated.ts`",
    "FAQ": "Twilio Voice Insights, frequently asked questions",
    "RJ": "TwiML `<Reject>`, <https://www.twilio.com/docs/voice/twiml/reject>",
    "XC": "Telnyx support, SIP response codes (4409457)",
    "XT": "Telnyx support, troubleshooting call completion (5025298)",
    "XK": "Telnyx, API error codes",
    "XS": "Telnyx SDK for Java, `CallHangup`",
    "R3": "RFC 3398, SIP and ISUP",
    "RFC3261": "RFC 3261, SIP",
    "RFC8197": "RFC 8197, 607 Unwanted",
    "RFC8688": "RFC 8688, 608 Rejected",
    "FF": "Public notes of a laboratory for Twilio SIP",
    "C-487": "A public capture of a ring timeout, somleng-switch#7",
    "G-140": "twilio-voice.js#140",
    "G-623": "team-telnyx/webrtc#623",
}
"""What the marks of the rows name."""
