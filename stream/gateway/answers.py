"""What a provider is answered: a status and nothing else.

The rule of this file: no answer has a body. A voice webhook's answer could be read as instructions for the
call (TwiML), and a refused sender learns nothing. (Twilio: "204 with an empty body" is the best answer to a
status callback.)
"""

from __future__ import annotations

from aiohttp import web

from stream.gateway.receive.refusal import Refusal
from stream.service.http.server import Bare

COME_AGAIN_S = 1


def empty(status: int) -> web.Response:
    """A bare status."""
    return web.Response(status=status)


def busy() -> web.Response:
    """Not now: whoever repeats it will be heard."""
    response = web.Response(status=503)
    response.headers["Retry-After"] = str(COME_AGAIN_S)
    return response


def come_again(status: int, wait_s: int = COME_AGAIN_S) -> web.Response:
    """Not before `wait_s`; what is left of the request is not read."""
    response = Bare(status, unread=True)
    response.headers["Retry-After"] = str(wait_s)
    return response


def answer(refused: Refusal) -> web.Response:
    """What no repetition mends, or what nobody but the provider may send."""
    return empty(refused.status)
