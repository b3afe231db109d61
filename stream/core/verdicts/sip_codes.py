"""The rows of the verdict's table that are about SIP codes, Telnyx' hangup causes and Q.850 causes.

A SIP code names a situation, not a party: it is read with the call's direction and with what was dialled.
"""

from __future__ import annotations

from stream.core.verdicts.row import Row

_PSTN, _DEVICE, _INBOUND = "outbound to:pstn", "outbound to:device", "inbound"


def _sip(
    values: str,
    column: str,
    fault: str,
    confidence: str,
    reason: str,
    mark: str = "O R3",
    needs: str = "",
) -> Row:
    return Row(6, "sip_response_code", values, fault, confidence, reason, mark, needs=f"{column} {needs}")


_AMBIGUOUS = "The SIP code has several causes."
_SIP = (
    _sip("400 402", "outbound", "unknown", "", _AMBIGUOUS, "M"),
    _sip("400", _INBOUND, "request", "low", "The call was malformed.", "M"),
    _sip("401 407", "outbound", "request", "medium", "The far side wants credentials.", "O XT"),
    _sip("403", _PSTN, "unknown", "", _AMBIGUOUS, "O XT", needs="twilio"),
    _sip("403", _PSTN, "request", "medium", "The provider refused the call.", "O XT", needs="telnyx"),
    _sip("403", "to:device|inbound", "request", "low", "The call was refused.", "O XT"),
    _sip("404", _PSTN, "callee", "high", "The number is not in service.", needs="q850_cause:1"),
    _sip("404", _PSTN, "carrier", "medium", "The carrier has no route.", needs="q850_cause:2|q850_cause:3"),
    _sip("404", _PSTN, "callee", "medium", "The number is not in service."),
    _sip("404", _DEVICE, "request", "medium", "The address is unknown at the customer's equipment.", "S FF"),
    _sip("404", _INBOUND, "request", "low", "The number is not assigned, or nobody is registered.", "M"),
    _sip("405 482 483", "outbound", "request", "low", "The SIP request could not be routed.", "M"),
    _sip("408", _PSTN, "callee", "low", "Nobody answered.", needs="q850_cause:18"),
    _sip("408", _PSTN, "carrier", "low", "The carrier did not answer.", needs="q850_cause:102"),
    _sip("408", _PSTN, "unknown", "", _AMBIGUOUS),
    _sip(
        "408 503",
        _DEVICE,
        "network",
        "high",
        "The customer's SIP endpoint did not answer.",
        needs="error_code:32011",
    ),
    _sip(
        "408 500 502 503 504",
        _DEVICE,
        "network",
        "medium",
        "The customer's SIP endpoint failed or did not answer.",
        "M",
    ),
    _sip("408", _INBOUND, "network", "low", "The customer's equipment did not answer.", "M"),
    _sip("410", _PSTN, "callee", "high", "The number has changed."),
    _sip(
        "410 480 486 600 603 604",
        _DEVICE,
        "callee",
        "medium",
        "The called device was busy, not there or declined.",
        "O RFC3261",
    ),
    _sip("480", _PSTN, "callee", "medium", "The called line was not available."),
    _sip("480", _INBOUND, "request", "medium", "Nobody is registered or assigned for this number.", "O XC"),
    _sip("484", "outbound", "request", "high", "The number is incomplete.", needs="q850_cause:28"),
    _sip("484", "inbound|outbound", "request", "medium", "The number is incomplete."),
    _sip("486 600", _PSTN, "callee", "high", "The called line was busy.", "O RFC3261"),
    _sip("486", _INBOUND, "callee", "medium", "The called line was busy.", "O XC"),
    _sip(
        "487",
        "outbound status:no-answer",
        "callee",
        "medium",
        "Nobody answered until the ring time was over.",
        "S C-487",
    ),
    _sip(
        "487",
        "outbound-api root status:canceled",
        "application",
        "medium",
        "The call was canceled before it was answered.",
        "M",
    ),
    _sip("487", "", "unknown", "", "The call was given up while it rang; who gave up is not known.", "M"),
    _sip("488 606", _PSTN, "unknown", "", _AMBIGUOUS, "O XC"),
    _sip(
        "488 606",
        "to:device|inbound",
        "request",
        "medium",
        "Codecs, secure media or addresses do not match.",
        "O XC",
    ),
    _sip("500", _PSTN, "carrier", "low", "The carrier failed.", "M"),
    _sip("501", _PSTN, "carrier", "low", "The carrier cannot do this."),
    _sip("501", _DEVICE, "request", "low", "The customer's equipment cannot do this.", "M"),
    _sip("502", _PSTN, "carrier", "medium", "The carrier's network is out of order."),
    _sip(
        "503",
        _PSTN,
        "carrier",
        "high",
        "The carrier has no free circuit or is out of order.",
        needs="twilio q850_cause:34|q850_cause:38|q850_cause:42|q850_cause:47|q850_cause:58",
    ),
    _sip("503", _PSTN, "carrier", "medium", "The carrier was not available.", needs="twilio"),
    _sip(
        "503", _PSTN, "unknown", "", "Telnyx answers 503 for at least four reasons.", "O XC", needs="telnyx"
    ),
    _sip("504", _PSTN, "carrier", "low", "The carrier did not answer in time.", "M"),
    _sip("513", _PSTN, "request", "medium", "The SIP message was too large.", "O XC"),
    _sip("603", _PSTN, "callee", "medium", "The called party declined.", "O RFC3261", needs="rang:2"),
    _sip("603", "", "unknown", "", "A person who declines and a block look alike.", "O XC"),
    _sip("604", _PSTN, "callee", "high", "The number does not exist.", "O RFC3261"),
    _sip("500 503", _INBOUND, "unknown", "", _AMBIGUOUS, "M"),
)


def _cause(causes: str, fault: str, reason: str) -> Row:
    return Row(6, "q850_cause", causes, fault, "medium", reason, "O R3")


_CAUSES = (
    _cause("1 17 18 19 20 22 23", "callee", "The network reports the called line."),
    _cause("2 3 27 34 38 42 47 58", "carrier", "The network reports the carrier."),
    _cause("28 55 57 65", "request", "The network reports what was asked for."),
)


def _hangup(
    causes: str,
    fault: str,
    confidence: str,
    reason: str,
    mark: str = "O XS",
    needs: str = "",
    unless: str = "",
) -> Row:
    return Row(6, "hangup_cause", causes, fault, confidence, reason, mark, needs=needs, unless=unless)


_HANGUPS = (
    _hangup("normal_clearing time_limit", "unknown", "", "The call ended before it was answered.", "M"),
    _hangup(
        "originator_cancel",
        "application",
        "medium",
        "The call was canceled before it was answered.",
        "M",
        needs="outbound",
        unless="from:device",
    ),
    _hangup("originator_cancel", "unknown", "", "The caller gave up.", "M"),
    _hangup("timeout no_answer allotted_timeout", "callee", "medium", "Nobody answered."),
    _hangup(
        "user_busy",
        "callee",
        "low",
        "The client was busy or declined.",
        "S G-623",
        needs="to:device|from:device",
        unless="sip_response_code:486",
    ),
    _hangup("user_busy", "callee", "high", "The called line was busy."),
    _hangup("not_found", "callee", "medium", "The number is not in service.", "O XT", needs="outbound"),
    _hangup(
        "not_found",
        "request",
        "medium",
        "The number is not assigned, or nobody is registered.",
        "O XT",
        needs="inbound",
    ),
    _hangup(
        "call_rejected",
        "request",
        "medium",
        "The provider refused the call.",
        "O XT",
        needs="sip_response_code:403",
    ),
    _hangup(
        "call_rejected",
        "callee",
        "medium",
        "The called party declined.",
        "M",
        needs="sip_response_code:603 rang:2 disconnected_by:callee",
    ),
    _hangup("call_rejected", "unknown", "", "A person who declines and a block look alike.", "M"),
    _hangup(
        "manager_request", "request", "medium", "Telnyx ended the call: fraud control or balance.", "O XT"
    ),
    _hangup(
        "recovery_on_timer_expire",
        "network",
        "high",
        "The customer's equipment did not answer.",
        "O XT",
        needs="inbound",
    ),
    _hangup(
        "progress_timeout", "network", "medium", "The customer's equipment did not answer in time.", "O XT"
    ),
    _hangup(
        "incompatible_destination mandatory_ie_missing",
        "request",
        "medium",
        "Codecs, secure media or credentials do not match.",
        "O XT",
    ),
    _hangup("normal_temporary_failure", "carrier", "medium", "Routing behind the provider failed.", "O XT"),
    _hangup(
        "unallocated_number", "callee", "high", "The number is not in service.", "O XT", needs="outbound"
    ),
    _hangup(
        "unallocated_number", "request", "medium", "The number is not assigned.", "O XT", needs="inbound"
    ),
)

CODE_ROWS: tuple[Row, ...] = (*_SIP, *_HANGUPS, *_CAUSES)
