"""Twilio's request log (Events of a call): the requests about a call, and what was answered."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from stream.provider_api.time_formats import rfc2822
from stream.simulator.calls import planted
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.seeded_random import Weighted
from stream.simulator.twilio.callbacks import StatusCallback, parameters
from stream.simulator.twilio.side_callbacks import SideCallback, side_form

STATUS_URL = "https://app.example.test/voice/status"
SIDE_URL = "https://app.example.test/voice/side"
ANSWER_URL = "https://app.example.test/voice/answer"
API_URL = "https://api.twilio.com/2010-04-01/Accounts/{account}/Calls.json"

TIMEOUT, NO_ANSWER = -1, 0
_FAILURES: Weighted[int] = Weighted(
    (5, 500), (4, 503), (3, 502), (3, 404), (2, 403), (1, 429), (3, TIMEOUT), (2, NO_ANSWER)
)
_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response><Dial><Client>agent</Client></Dial></Response>'


class LoggedRequest(NamedTuple):
    """A row of the log.

    - `step`: index of the callback that the request delivered; None for other requests. `side`: index of the
      side callback that it delivered.
    - `answer`: the response code, TIMEOUT or NO_ANSWER; `duration_ms`: how long the application took.
    """

    url: str
    step: int | None
    status: str
    at_us: int
    answer: int
    duration_ms: int
    side: int | None = None

    @property
    def failing(self) -> bool:
        """The customer's application did not answer, or answered with an error."""
        return self.answer <= 0 or self.answer >= 400


def logged_requests(
    rng: random.Random,
    call: SimulatedCall,
    callbacks: Sequence[StatusCallback],
    failing: float,
    delay_s: float = 0.0,
    sides: Sequence[SideCallback] = (),
) -> list[LoggedRequest]:
    """The log of a call: the API request that created it, the fetch of its TwiML, its callbacks.

    `failing`: share of the requests that the application fails; `delay_s`: added to the time of its answers.
    """
    leg, found = call.leg, []
    delay_ms = round(delay_s * 1000)
    status_url = STATUS_URL + "?tenant=7" if call.planted is None else call.planted.url

    def answer(good: int) -> tuple[int, int]:
        code = _FAILURES.pick(rng) if rng.random() < failing else good
        return code, 15_000 + rng.randrange(40) if code == TIMEOUT else delay_ms + 20 + rng.randrange(300)

    if leg.direction == "outbound-api":
        url = API_URL.format(account=call.account)
        found.append(LoggedRequest(url, None, "queued", leg.began_us, 201, 60))
        if leg.answered_us:
            found.append(LoggedRequest(ANSWER_URL, None, "in-progress", leg.answered_us, *answer(200)))
    elif leg.direction == "inbound" and (leg.ringing_us or leg.answered_us):
        at_us = leg.ringing_us or leg.began_us
        found.append(LoggedRequest(ANSWER_URL, None, "ringing", at_us, *answer(200)))
    for n, side in enumerate(sides):
        found.append(LoggedRequest(SIDE_URL, None, "", side.at_us, 204, delay_ms + 30, n))
    for step, sent in enumerate(callbacks):
        found.append(LoggedRequest(status_url, step, sent.status, sent.at_us, *answer(204)))
    return found


def request_row(
    call: SimulatedCall,
    constant: dict[str, Any],
    callbacks: Sequence[StatusCallback],
    sides: Sequence[SideCallback],
    request: LoggedRequest,
) -> dict[str, Any]:
    """One request of the log and its answer. `constant`: the parameters that the call's callbacks share."""
    if request.side is not None:
        logged = _snake_cased(side_form(call, sides[request.side]))
    elif request.step is not None:
        logged = _snake_cased(parameters(call, constant, callbacks[request.step]))
    elif request.answer == 201:
        logged = _api_parameters(call)
    else:
        logged = {**_snake_cased(constant), "call_status": request.status}
    return {
        "request": {"method": "POST", "url": request.url, "parameters": logged},
        "response": _response(request),
    }


def _api_parameters(call: SimulatedCall) -> dict[str, Any]:
    return {
        "from": call.leg.caller.text,
        "to": call.leg.callee.text,
        "call_sid": call.id,
        "account_sid": call.account,
        **({} if call.planted is None else call.planted.fill(planted.API_REQUEST)),
    }


def _snake_cased(parameters: dict[str, Any]) -> dict[str, Any]:
    return {snake_case(name): value for name, value in parameters.items()}


@cache
def snake_case(name: str) -> str:
    """`SipResponseCode` as the request log writes it: `sip_response_code`."""
    return "".join("_" + c.lower() if c.isupper() and at else c.lower() for at, c in enumerate(name))


def _response(request: LoggedRequest) -> dict[str, Any] | None:
    """The answer: null if there was none; one that came too late has a duration and no code."""
    if request.answer == NO_ANSWER:
        return None
    fetched = request.answer == 200
    return {
        "response_code": request.answer if request.answer > 0 else None,
        "request_duration": request.duration_ms,
        "content_type": "text/xml" if fetched else None,
        "response_body": _TWIML if fetched else "",
        "date_created": rfc2822(request.at_us + request.duration_ms * 1000),
    }
