"""The rows of the verdict's table that are about error codes: what each says of whose fault it was.

Codes are per provider: 20003 is "permission denied" at Twilio and a forbidden key at Telnyx. A code that is
not here says nothing. Left out on purpose: 15002, 15003, 16011, 17580 (a callback was not delivered), 15000,
16010 (an event was not sent), 21220, 15009, 90018 (a command came after the end), 32015, 13805 (a limit that
was asked for), 32021 (verification failed and the call went on), 11751 (messages).
"""

from __future__ import annotations

from stream.core.verdicts.row import Row

_FLOW = 4
_FETCH_S = 10
"""An error of the call flow ends the call within this many seconds, else it is not the cause."""


def _twilio(
    rung: int,
    codes: str,
    fault: str,
    confidence: str,
    reason: str,
    mark: str,
    needs: str = "",
    unless: str = "",
) -> Row:
    return Row(
        rung,
        "error_code",
        codes,
        fault,
        confidence,
        reason,
        mark,
        needs=f"twilio {needs}",
        unless=unless,
        within_s=_FETCH_S if rung == _FLOW else None,
        recovered_by="request:2xx" if rung == _FLOW else "",
    )


def _telnyx(rung: int, codes: str, fault: str, confidence: str, reason: str) -> Row:
    return Row(rung, "error_code", codes, fault, confidence, reason, "O XK", needs="telnyx")


def _refused(codes: str, confidence: str, reason: str, mark: str = "O TD", unless: str = "") -> Row:
    return _twilio(1, codes, "request", confidence, reason, mark, unless=unless)


def _flow(codes: str, confidence: str, reason: str, mark: str = "O TD", needs: str = "") -> Row:
    return _twilio(_FLOW, codes, "application", confidence, reason, mark, needs)


def _client(
    codes: str,
    fault: str,
    confidence: str,
    reason: str,
    mark: str = "O SE",
    needs: str = "",
    unless: str = "",
) -> Row:
    return _twilio(5, codes, fault, confidence, reason, mark, needs, unless)


ERROR_CODE_ROWS: tuple[Row, ...] = (
    # Rung 1: admission and dialling
    _refused("10001 10003 20005 90010", "high", "The account is not active."),
    _refused("10002 10004 10005 16021 64109 86008", "high", "The account may not use this, or not so often."),
    _refused("16020 16022 16025 16026", "medium", "The conference is full or gone, or its label is in use."),
    _refused("20003 20006 20010 20403", "high", "The credentials do not permit it."),
    _refused("20404 21218", "high", "The resource or the application does not exist."),
    _refused("20429", "high", "Too many requests at once: it was never processed."),
    _twilio(1, "20500 20503", "provider", "high", "The provider's API failed.", "O TD"),
    _refused(
        "21201 21203 21205 21206 21208 21209 21213 21217",
        "high",
        "A number, a URL or a parameter is missing or not valid.",
    ),
    _refused("21202", "high", "The number dialled is a premium number."),
    _refused("21210 21212 13247 32204 32206", "high", "The caller id may not be used."),
    _refused("21211", "high", "The number dialled is malformed."),
    _refused("21214", "low", "The number dialled cannot be reached."),
    _refused("21215 13227 32205", "high", "The account may not call this country."),
    _refused("21216 13225 32203", "medium", "The provider blocks this destination."),
    _refused("32224", "high", "A domestic call may not be forwarded abroad.", "O TP"),
    _refused("21219 32100", "high", "A trial account may call verified numbers only."),
    _refused("22001", "low", "It waited too long to be placed: too many calls a second."),
    _refused("13214", "medium", "The caller id cannot be used."),
    _refused("13223 13226 32101", "high", "The number dialled is not in the format E.164."),
    _refused(
        "13224",
        "medium",
        "The number dialled is not valid, or no carrier could deliver the call.",
        "O TP",
        unless="to:device",
    ),
    _refused(
        "13243 13248 13249 13250 13251 13252 13253 13254 13255 32110 32111 32112 32113 32114 32214 32215"
        " 32218 32220 32221 32223",
        "medium",
        "The SIP address, its headers, the region or the edge is not valid.",
    ),
    _refused("11240 11241 11242 11243", "high", "A connection override of a URL is not valid."),
    _refused("32001 32012 32013", "high", "The trunk took more calls a second than it may."),
    _refused(
        "32002 32010 32200 32201 32202 32210 32216",
        "high",
        "The SIP domain or trunk is not set up for this call.",
    ),
    _refused("32006", "medium", "Too many hops: usually a loop of SIP addresses."),
    _refused("32020", "high", "The identity that the customer signed is not valid.", "O TP"),
    _refused("32207 32208 32209 32222", "medium", "Secure media or transport does not match the trunk's."),
    # Rung 2: explicit blocks
    _twilio(
        2,
        "32017",
        "spam_block",
        "high",
        "The carrier's analytics refused the calling number for its reputation.",
        "O TD",
    ),
    # Rung 4: the call flow
    _flow("11100", "high", "The URL of the instructions is malformed."),
    _flow(
        "11200",
        "high",
        "The application failed to answer with instructions.",
        needs="request:4xx|request:5xx",
    ),
    _flow("11200", "medium", "The application gave no usable answer in 15 s."),
    _flow("11201 11202 11203 11205 11206", "medium", "The application could not be reached, or not in time."),
    _flow("11210", "high", "The application's host name does not resolve."),
    _flow(
        "11215 11220 11235 11236 11237", "high", "The application redirects in a loop, or its TLS is broken."
    ),
    _flow("11750", "high", "The instructions are longer than 64 kB."),
    _flow("11770", "medium", "The application answered with nothing."),
    _flow("12100 12101 12102 12300", "high", "The application's answer is not valid TwiML."),
    _flow("12200", "low", "The TwiML has a verb or attribute that does not exist; the call went on."),
    _twilio(4, "12400", "provider", "medium", "The provider failed while it ran the instructions.", "O TD"),
    _flow("15004", "medium", "A live update has a relative URL."),
    _flow(
        "31901 31902 31904 31910 31920 31922 31923 31924",
        "high",
        "The customer's media stream socket failed.",
    ),
    _flow("31903 31921", "medium", "The customer's media stream socket was closed."),
    _flow("31930 31931 31950 31951", "low", "A message of the media stream was not valid."),
    _twilio(4, "31900", "unknown", "", "The media stream failed; nothing says at which end.", "O TD"),
    _flow("64102 64107", "high", "The customer's ConversationRelay socket failed.", "O TP"),
    _flow("64105", "medium", "The customer's ConversationRelay socket was closed.", "O TP"),
    _twilio(
        4, "64108 86007", "unknown", "", "Media stopped: the call ended, or the carrier stopped.", "O TP"
    ),
    _flow("13201", "medium", "A `<Dial>` was used wrongly."),
    _flow(
        "13221 13210 13211 13212 13215 13216 13217 13218 13219 13220 13222",
        "low",
        "A `<Dial>` has an attribute that is not valid; it went on with defaults.",
    ),
    # Rung 5: clients, SIP endpoints and media
    _client(
        "20101 20102 20103 20104 20105 20106 20107",
        "request",
        "high",
        "The client's token is not valid.",
        "O VJ",
    ),
    _client(
        "20151 20152 20153 20154 20155 20156 20157 20158 20159 20160",
        "request",
        "high",
        "The client's token is not valid.",
        "O VJ",
    ),
    _client("31202 31203 31204 31205 31207", "request", "high", "The client's token is not valid.", "O VJ"),
    _client("31001", "request", "high", "The client's TwiML application is wrong or missing."),
    _client("31206 31429", "request", "medium", "The client sent too many requests."),
    _client(
        "31404", "request", "medium", "The number is not valid, or the TwiML application has no URL.", "O VJ"
    ),
    _client("31484", "request", "high", "The client dialled a malformed number."),
    _client(
        "31003 31009 53000 53001 53002",
        "network",
        "medium",
        "The client lost its signalling connection.",
        "O VJ",
        unless="media:person",
    ),
    _client(
        "31005",
        "network",
        "medium",
        "The client's connection broke after it had been weak.",
        needs="media:network-quality-warning-raised|media:ice-connectivity-lost",
        unless="media:person",
    ),
    _client(
        "31005", "unknown", "", "The connection was closed; a callee who declines looks the same.", "S G-140"
    ),
    _client(
        "31006 31401 31402", "network", "high", "The client's microphone is missing or was denied.", "O VJ"
    ),
    _client("31008", "callee", "low", "The call was over before the client took it."),
    _client("31480 31486 31600 31604", "callee", "medium", "The called client was busy or not there."),
    _client("31603", "callee", "low", "The called client declined, or there were no instructions.", "O TP"),
    _client(
        "31000 31100 31002 31201 31208 31209 31400 31403 31408 31487 31500 31502 31503 31504",
        "unknown",
        "",
        "The client's error code has no cause, or several.",
    ),
    _client("53400 53402 53404", "network", "medium", "The client could not agree on media.", "O VJ"),
    _client("53401 53403", "provider", "low", "The provider could not agree on media.", "O VJ"),
    _client(
        "53405 53407",
        "network",
        "high",
        "The client's media connection failed.",
        "O VJ",
        needs="media:ice-connection-state:failed|media:dtls-transport-state:failed|media:pc-connection-state:failed",
    ),
    _client("53405 53407", "network", "medium", "The client's media connection failed.", "O VJ"),
    _client("32009", "callee", "medium", "The SIP user is not registered.", "O TD"),
    _client("32011", "network", "medium", "The customer's SIP endpoint did not answer.", "O TD"),
    _client("32014", "network", "medium", "The call ended for lack of audio.", "O TD", needs="to:device"),
    _client("32014", "network", "low", "The call ended for lack of audio.", "O TD"),
    _client(
        "32022",
        "network",
        "high",
        "The customer's SIP endpoint did not acknowledge: NAT or firewall.",
        "O TD",
    ),
    _client(
        "32102 32103 32105 32106",
        "network",
        "medium",
        "The customer's SIP equipment sent what is not valid.",
        "O TD",
    ),
    # Rung 6: carriers, and what an error log says of the other end
    _twilio(6, "32016", "carrier", "medium", "Several carriers did not answer in 60 s.", "O TP"),
    _twilio(6, "34002 34003", "callee", "low", "The other end was busy or did not answer.", "O TD"),
    _twilio(6, "13340", "provider", "medium", "Speech recognition was degraded.", "O TD"),
    # Telnyx
    _telnyx(1, "10001 10002 10004 10015 10016 10027", "request", "high", "The request is not valid."),
    _telnyx(
        1,
        "10009 10010 20001 20002 20003 20004 20005 20006 20007 20008 20009",
        "request",
        "high",
        "The credentials do not permit it.",
    ),
    _telnyx(1, "10011 90041 90042 90043", "request", "high", "Too many requests or calls at once."),
    _telnyx(1, "10007 10037", "provider", "high", "The provider's API failed."),
    _telnyx(1, "10008", "provider", "low", "The provider's API failed."),
    _telnyx(
        1,
        "20012 20013 20014 20015 20016 20017 20100",
        "request",
        "high",
        "The account is blocked, not verified or without funds.",
    ),
    _telnyx(
        4,
        "90040 90046",
        "application",
        "medium",
        "An audio file or a stream of the application failed.",
    ),
    _telnyx(4, "90015 90034", "application", "low", "A command was for a call that could not take it."),
)
