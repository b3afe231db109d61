"""From a verified request to its records: one for a callback, one for each event of a batch.

Nothing here sees the request, only what was verified of it. Whatever the provider sent is written, even if
nobody can read it: the worker then says what is wrong with it. Only what is neither a form nor JSON, or is
too large, is refused: no retry helps there.

Nothing of the provider's is changed: JSON is put into the envelope byte for byte, a form as an object of
texts. A record's key comes from the worker's own decoder, so the two agree about which call it belongs to.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
import orjson

from stream.core.events import DecodeError, Envelope, Reading
from stream.core.timestamps import utc
from stream.gateway.receive.form_body import as_object
from stream.gateway.receive.parsed_request import Content
from stream.gateway.receive.request import FORM, RequestRefusedError, clean_text
from stream.gateway.receive.source_detection import ignored_reason, source_of
from stream.gateway.receive.verification import VerifiedRequest
from stream.kafka.envelope_codec import VALUE_LIMIT_BYTES, write_envelope
from stream.sources import DECODERS

BATCH_LIMIT = 1000
"""Events of one request. Twilio's largest batch is smaller by far; a body has room for many empty objects."""

METADATA_LIMIT = 255
"""Characters of a header that is kept in the delivery metadata. Providers send shorter ones."""

QUERY_LIMIT = 8192


class WebhookRecord(NamedTuple):
    """One record for Kafka. `key` None: the worker cannot read it either, and will say why.

    `delay_us`: received minus the provider's own time, None where that is unknown. `ignored`: what it is
    about instead of a call; then it is counted and not written.
    """

    source: str
    key: bytes | None
    value: bytes
    delay_us: int | None = None
    ignored: str | None = None


def records_of(verified: VerifiedRequest, *, endpoint: str, received_us: int) -> list[WebhookRecord]:
    """The records of a request, in its order. `endpoint`: the path that it was routed by.

    Raises RequestRefusedError.
    """
    content, provider, token = verified.content, verified.provider, verified.token
    account, received_at = verified.account and clean_text(verified.account), utc(received_us)
    delivery = {
        "token": token and clean_text(token[:METADATA_LIMIT]),
        "attempt": None,
        "query": content.query and clean_text(content.query[:QUERY_LIMIT]),
        "verified": verified.verified,
        "variant": verified.variant,
        "remote": verified.remote,
    }
    if content.parameters is not None:
        form, exact = as_object(content.parameters)
        if not exact:
            delivery["original"] = base64.b64encode(content.raw).decode()
        source = source_of(provider, endpoint, form, form=True)
        return [record_of(Envelope(source, received_at, received_us, account, endpoint, delivery, form))]
    records = []
    seen: Counter[bytes] = Counter()
    for raw, event in _events(content):
        body = event if type(event) is dict else {}  # which has no key either
        source = source_of(provider, endpoint, body, form=False)
        delivered = delivery | {"attempt": _attempt(body)}
        envelope = Envelope(source, received_at, received_us, account, endpoint, delivered, body, seen[raw])
        records.append(record_of(envelope, raw, verified.subaccounts))
        seen[raw] += 1
    return records


def _events(content: Content) -> list[tuple[bytes, Any]]:
    """(its bytes, what they say) of each event of a JSON body."""
    if not content.is_json:
        raise RequestRefusedError("unsupported_media_type", f"neither {FORM} nor JSON")
    try:
        value = orjson.loads(content.raw)
    except orjson.JSONDecodeError:
        raise RequestRefusedError("malformed", "the body is not JSON") from None
    if type(value) is dict:
        return [(content.raw, value)]
    if type(value) is not list:
        raise RequestRefusedError("malformed", "the body is neither an object nor an array")
    if len(value) > BATCH_LIMIT:
        raise RequestRefusedError("too_large", f"more than {BATCH_LIMIT} events")
    try:
        raw = msgspec.json.decode(content.raw, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        raise RequestRefusedError("malformed", "the body is nested deeper than a parser follows") from None
    return list(zip(map(bytes, raw), value, strict=True))


def _attempt(body: dict[str, Any]) -> int | None:
    """Telnyx counts its attempts in `meta`."""
    meta = body.get("meta")
    attempt = meta.get("attempt") if type(meta) is dict else None
    return attempt if type(attempt) is int and 0 <= attempt < 1 << 31 else None


def record_of(
    envelope: Envelope, raw: bytes | None = None, subaccounts: Collection[str] = ()
) -> WebhookRecord:
    """The record of one event. Raises RequestRefusedError where it is larger than any reader accepts.

    - `raw`: the body as received, which is written in place of `envelope.body`.
    - `subaccounts`: the event belongs to one of these, and not to the envelope's account, where it says so.
    """
    value = _written(envelope, envelope.body if raw is None else orjson.Fragment(raw))
    reading = _reading(envelope)
    if reading is None:
        body = orjson.loads(value)["body"]  # the decoder may have changed the envelope's
        ignored = ignored_reason(envelope.source, body if type(body) is dict else {})
        return WebhookRecord(envelope.source, None, value, ignored=ignored)
    if raw is not None and reading.event.account in subaccounts:
        envelope.account = reading.event.account
        value = _written(envelope, orjson.Fragment(raw))
    delay_us = None if reading.occurred_us is None else envelope.received_us - reading.occurred_us
    return WebhookRecord(envelope.source, reading.event.key.encode(), value, delay_us)


def _written(envelope: Envelope, body: Any) -> bytes:
    value = write_envelope(
        envelope.source,
        body,
        received_us=envelope.received_us,
        account=envelope.account,
        endpoint=envelope.endpoint or "",
        delivery=envelope.delivery,
        ordinal=envelope.ordinal,
    )
    if len(value) > VALUE_LIMIT_BYTES:
        raise RequestRefusedError("too_large", "larger than an envelope may be")
    return value


def _reading(envelope: Envelope) -> Reading | None:
    """What the worker will read of an envelope, whose body it may change; None where it cannot.

    Such a record has no key: it goes to any partition, touches no call, and becomes a dead letter with the
    decoder's reason.
    """
    try:
        return DECODERS[envelope.source](envelope)[0]
    except DecodeError:
        return None
    except Exception:  # noqa: BLE001  a decoder's bug must not lose a webhook: it can be read later
        return None
