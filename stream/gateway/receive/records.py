"""From a request that may be landed to its records: one for a callback, one for each event of a batch.

The rule of this file: it never sees the request, only what was verified of it. What is the provider's lands,
even if nobody can read it; the worker will say what is wrong with it. Refusal is only what is no form and no
JSON, or too large: no retry mends that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import orjson

from stream.gateway.receive import form_body
from stream.gateway.receive.envelope import DeliveryMetadata, WebhookRecord, delivery
from stream.gateway.receive.refusal import Refusal
from stream.gateway.receive.request import FORM, clean_text
from stream.gateway.receive.source_detection import source_of
from stream.gateway.receive.verification import VerifiedRequest

BATCH_LIMIT = 1000
"""Events of one request. Twilio's largest batch is smaller by far; a body has room for many empty objects."""

_TOO_LARGE = Refusal("too_large", "larger than an envelope may be")


def deliveries(
    verified: VerifiedRequest, *, endpoint: str, received_us: int
) -> list[WebhookRecord] | Refusal:
    """The records of a request, in its order. `endpoint`: the path that it was routed by."""
    content = verified.content
    if content.parameters is not None:
        return _of_parameters(verified, content.parameters, endpoint, received_us)
    if not content.is_json:
        return Refusal("unsupported_media_type", f"neither {FORM} nor JSON")
    try:
        value = orjson.loads(content.raw)
    except orjson.JSONDecodeError:
        return Refusal("malformed", "the body is no JSON")
    if type(value) is dict:
        return _of_json(verified, [(content.raw, value)], endpoint, received_us)
    if type(value) is list:
        if len(value) > BATCH_LIMIT:
            return Refusal("too_large", f"more than {BATCH_LIMIT} events")
        try:
            raw = msgspec.json.decode(content.raw, type=list[msgspec.Raw])
        except (msgspec.DecodeError, RecursionError):
            return Refusal("malformed", "the body is nested deeper than a parser follows")
        found = list(zip(map(bytes, raw), value, strict=True))
        return _of_json(verified, found, endpoint, received_us)
    return Refusal("malformed", "the body is neither an object nor an array")


def _of_parameters(
    verified: VerifiedRequest, parameters: form_body.Pairs, endpoint: str, received_us: int
) -> list[WebhookRecord] | Refusal:
    body, exact = form_body.as_object(parameters)
    landed = delivery(
        source_of(verified.provider, endpoint, body, form=True),
        body,
        received_us=received_us,
        account=_account(verified),
        endpoint=endpoint,
        evidence=_evidence(verified, None),
        original=None if exact else verified.content.raw,
    )
    return _TOO_LARGE if landed is None else [landed]


def _of_json(
    verified: VerifiedRequest, found: list[tuple[bytes, Any]], endpoint: str, received_us: int
) -> list[WebhookRecord] | Refusal:
    landed = []
    seen: Counter[bytes] = Counter()
    for raw, value in found:
        body = value if type(value) is dict else {}
        one = delivery(
            source_of(verified.provider, endpoint, body, form=False),
            orjson.Fragment(raw),
            received_us=received_us,
            account=_account(verified),
            endpoint=endpoint,
            evidence=_evidence(verified, _attempt(body)),
            ordinal=seen[raw],
            subaccounts=verified.subaccounts,
        )
        if one is None:
            return _TOO_LARGE
        seen[raw] += 1
        landed.append(one)
    return landed


def _account(verified: VerifiedRequest) -> str | None:
    return clean_text(verified.account) if verified.account else None


def _evidence(verified: VerifiedRequest, attempt: int | None) -> DeliveryMetadata:
    return DeliveryMetadata(
        token=verified.token,
        attempt=attempt,
        query=verified.content.query,
        verified=verified.verified,
        variant=verified.variant,
        remote=verified.remote,
    )


def _attempt(body: dict[str, Any]) -> int | None:
    """Telnyx counts its attempts in `meta`."""
    meta = body.get("meta")
    attempt = meta.get("attempt") if type(meta) is dict else None
    return attempt if type(attempt) is int and 0 <= attempt < 1 << 31 else None
