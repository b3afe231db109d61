"""The signature doctor: for a refused request, what would have to change for its signature to fit.

It asks the doctor of the request's provider. Pure. A diagnosis takes up to a second and never shows a
token, a key or a number: a server makes one off the request path, and rarely.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.gateway.diagnose import telnyx, twilio
from stream.gateway.diagnose.diagnosis import Diagnosis
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import GET_PATH, ParsedRequest, is_packed

PACKED = Diagnosis(
    None,
    "The body is packed (Content-Encoding): no provider packs its webhooks, and the gateway refuses "
    "them unread: let the proxy pass the body as it came.",
)
TOO_MANY_PARAMETERS = Diagnosis(None, "The form has more parameters than a provider sends.")
"""Of a request that `parse` refuses."""


def diagnose(
    parsed: ParsedRequest,
    credentials: GatewayCredentials,
    now_s: float,
    *,
    secrets: Sequence[str] = (),
    urls: Sequence[str] = (),
) -> Diagnosis:
    """`secrets`: auth tokens or public keys to try besides the configured ones; `urls`: public URLs to try.

    `now_s`: when the request was received, in Unix time.
    """
    if is_packed(parsed.request.headers):
        return PACKED
    if parsed.provider == "telnyx":
        return telnyx.diagnose(parsed.request, credentials, now_s, secrets)
    found = twilio.diagnose(parsed, credentials, now_s, tokens=secrets, urls=urls)
    method = parsed.request.method
    if found.fits and method != "POST" and (method != "GET" or not parsed.path.endswith(GET_PATH)):
        says = f"The signature fits, but the gateway answers a {method} at this path with 405"
        return Diagnosis(False, f"{says}: let Twilio send with POST.")
    return found
