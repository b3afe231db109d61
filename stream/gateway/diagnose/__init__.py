"""The signature doctor: for a request that was refused, what would have had to be otherwise, in one sentence.

The rule of this file: it asks the provider's own doctor. It is pure, costs up to half a second, and never
shows a token, a key or a number: who runs it in a server does so off the request path and rarely.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.gateway.diagnose import telnyx, twilio
from stream.gateway.diagnose.diagnosis import Diagnosis
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.form_body import TooManyParametersError, pairs
from stream.gateway.receive.request import WebhookRequest
from stream.gateway.receive.verification import provider_of

PACKED = Diagnosis(
    None,
    "The body is packed (Content-Encoding): no provider packs its webhooks, and the gateway refuses "
    "them unread: let the proxy pass the body as it came.",
)


def diagnose(
    request: WebhookRequest,
    credentials: GatewayCredentials,
    now_s: float,
    *,
    secrets: Sequence[str] = (),
    urls: Sequence[str] = (),
) -> Diagnosis:
    """`secrets`: auth tokens or public keys to try beside the configured ones; `urls`: public URLs to try.

    `now_s`: when the request was received, in Unix time.
    """
    if any(coding.strip().lower() not in ("", "identity") for coding in _codings(request)):
        return PACKED
    try:
        parameters = pairs(request.body) if request.is_form else None
    except TooManyParametersError:
        return Diagnosis(None, "The form has more parameters than a provider sends.")
    if provider_of(request, parameters) == "telnyx":
        return telnyx.diagnose(request, credentials, now_s, secrets)
    return twilio.diagnose(request, credentials, now_s, tokens=secrets, urls=urls)


def _codings(request: WebhookRequest) -> list[str]:
    return [word for value in request.values("Content-Encoding") for word in value.split(",")]
