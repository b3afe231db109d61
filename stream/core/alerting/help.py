"""What codes mean and what to do about them: the `reason.help` of alerts. One line each, for an operator.

SIP codes: RFC 3261 §21 and RFC 8197 (607), RFC 8688 (608). Others: Twilio's error dictionary.
"""

from __future__ import annotations

SIP: dict[int, str] = {
    400: "The request was malformed: look at the SIP headers and the number format.",
    401: "The other side wants credentials: check the trunk's login.",
    403: "The other side refuses: check the caller id, the permissions for the country, and the account.",
    404: "The number is not in service: check the number that was dialled.",
    407: "The other side wants credentials: check the trunk's login.",
    408: "No answer from the other side in time: try another route, and ask the carrier if it goes on.",
    410: "The number is gone for good: remove it from the list.",
    480: "The callee cannot be reached now: try again later.",
    484: "The number is incomplete: check its format (E.164).",
    486: "The callee is busy.",
    487: "The caller hung up before the answer.",
    488: "No common codec or media address: compare what both sides offer.",
    500: "The carrier's server failed: ask the carrier if it goes on.",
    502: "The carrier got a bad answer from the next one: ask the carrier.",
    503: "The carrier is overloaded or away: use another route, and ask the carrier.",
    504: "The carrier got no answer from the next one: ask the carrier.",
    600: "The callee is busy everywhere.",
    603: "The callee, or an analytics engine for it, declined: check how the caller id is rated.",
    604: "The number does not exist anywhere: check the number.",
    607: "The callee marked the call as unwanted: stop calling it, check the caller id's reputation.",
    608: "An analytics engine blocked the call: register the caller id and ask the carrier for redress.",
}

TWILIO: dict[str, str] = {
    "10001": "The account is not active: look at its state in the Console.",
    "11200": "Twilio could not get an answer from your URL: look at the endpoint's log.",
    "11205": "Twilio could not connect to your URL: check DNS, firewall and that the server runs.",
    "11210": "The host of your URL does not resolve: check DNS.",
    "11215": "Your URLs redirect too often: check them for a loop.",
    "11220": "TLS with your URL failed: check the certificate and its chain.",
    "11750": "The answer of your URL is too large.",
    "12100": "Your TwiML cannot be parsed: validate it.",
    "12200": "Your TwiML does not follow the schema: validate it.",
    "12300": "Your URL answered with a wrong content type.",
    "13223": "The destination number's format is not valid: check it (E.164).",
    "13224": "The destination number is not valid or not supported: check it.",
    "13225": "The destination number is blocked for this account.",
    "13227": "The account may not call this country: check the geographic permissions.",
    "13247": "The destination is on a block list: check how the caller id is rated.",
    "15003": "Your status callback URL answered with an error: the call is unharmed.",
    "21210": "The caller id is not verified for this account.",
    "21215": "The account may not call this country: check the geographic permissions.",
    "31005": "The client's connection was lost: look at its network.",
    "31009": "The client has no transport: look at its network and firewall.",
    "31201": "The client has no access to the microphone.",
    "32014": "No audio arrived: look at NAT, firewall and codecs.",
    "32021": "The caller's number could not be verified. Usual on forwarded calls.",
    "53405": "The client's media connection failed: look at its network and firewall.",
}

RULES: dict[str, str] = {
    "call.no_terminal_event": "Its last callback was lost, or it still runs: look at it at the provider.",
    "call.short": "Listen to one: silence, a false answer or broken instructions are likely.",
    "delivery.gap": "The provider did not send them, or they were lost on the way: see the call's record.",
    "state.conflict": "Compare the call's events. The record says which value was chosen.",
    "webhook.failing": "Ask the endpoint's owner, beginning with its last deployment.",
    "webhook.slow": "The provider waits 15 s at most: find what the endpoint waits for.",
    "calls.failing": "Compare codes, destinations and caller ids, then see the provider's status page.",
    "delivery.callback_missing": "Compare the provider's log with your ingress: DNS, firewall, TLS, load.",
}


def help_for(
    rule_id: str, provider: str, sip_response_code: int | None, error_code: str | None
) -> str | None:
    """The most precise line there is: for the provider's code, the SIP code, the rule."""
    if provider == "twilio" and error_code in TWILIO:
        return TWILIO[error_code]
    if sip_response_code in SIP:
        return SIP[sip_response_code]
    if error_code is not None and error_code[:2] == "31" and error_code[2:].isdigit():
        # Twilio gives a SIP response as 31 and its three digits.
        return SIP.get(int(error_code[2:]), RULES.get(rule_id))
    return RULES.get(rule_id)
