"""What the gateway decides about a whole request, in one call for each question."""

from __future__ import annotations

from collections.abc import Sequence

from stream.gateway.diagnose.diagnosis import Diagnosis
from stream.gateway.diagnose.signature_doctor import TOO_MANY_PARAMETERS, diagnose
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.public_url import client_of
from stream.gateway.receive.records import WebhookRecord, records_of
from stream.gateway.receive.request import ParsedRequest, RequestRefusedError, WebhookRequest, parse
from stream.gateway.receive.verification import VerifiedRequest, verify
from tests.gateway.signing import NOW_S

RECEIVED_US = 1_772_445_600_000_001
NO_CREDENTIALS = GatewayCredentials()


def parsed(request: WebhookRequest, credentials: GatewayCredentials = NO_CREDENTIALS) -> ParsedRequest:
    return parse(request, client_of(request.remote, request.headers, credentials.trusted_proxies))


def verified(
    request: WebhookRequest, credentials: GatewayCredentials, now_s: float = NOW_S
) -> VerifiedRequest:
    """Raises RequestRefusedError."""
    return verify(parsed(request, credentials), credentials, now_s)


def judged(request: WebhookRequest, credentials: GatewayCredentials) -> VerifiedRequest | str:
    """The request as verified, or the reason why it is refused."""
    try:
        return verified(request, credentials)
    except RequestRefusedError as error:
        return error.reason


def landed(
    request: WebhookRequest, credentials: GatewayCredentials, now_s: float = NOW_S
) -> list[WebhookRecord]:
    """The records of a request. Raises RequestRefusedError."""
    endpoint = parsed(request).path
    return records_of(verified(request, credentials, now_s), endpoint=endpoint, received_us=RECEIVED_US)


def diagnosed(
    request: WebhookRequest,
    credentials: GatewayCredentials,
    *,
    secrets: Sequence[str] = (),
    urls: Sequence[str] = (),
) -> Diagnosis:
    """What the signature doctor says about a captured request."""
    try:
        found = parsed(request, credentials)
    except RequestRefusedError:
        return TOO_MANY_PARAMETERS
    return diagnose(found, credentials, NOW_S, secrets=secrets, urls=urls)
