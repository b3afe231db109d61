"""From a verified request to its records: one for a callback, one for each event of a batch.

Nothing here sees the request, only what was verified of it. Whatever the provider sent is written, even if
nobody can read it: the worker then says what is wrong with it. Only what is neither a form nor JSON, or is
too large, is refused: no retry helps there.

Nothing of the provider's is changed: JSON is put into the envelope byte for byte, a form as an object of
texts. A record's key comes from the worker's own decoder, run on the very bytes that are written, so the two
always agree about which call a record belongs to.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
import orjson

from stream.core.events import DecodeError, Reading
from stream.gateway.receive.form_body import as_object
from stream.gateway.receive.parsed_request import Content
from stream.gateway.receive.request import FORM, RequestRefusedError, clean_text
from stream.gateway.receive.source_detection import ignored_reason, source_of
from stream.gateway.receive.verification import VerifiedRequest
from stream.kafka.envelope_codec import VALUE_LIMIT_BYTES, read_envelope, write_envelope
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


class DeliveryMetadata(NamedTuple):
    """How a webhook arrived, in the envelope's `delivery`. Never part of an event's identity.

    - `token`: Twilio's idempotency token.
    - `attempt`: the provider's count of attempts.
    - `query`: the URL's own query of a POST, as received.
    - `verified`, `variant`: whether its signature was checked, and what matched.
    - `remote`: the address that it came from, as far as it can be believed.
    """

    token: str | None = None
    attempt: int | None = None
    query: str | None = None
    verified: bool = False
    variant: str | None = None
    remote: str | None = None


def records_of(verified: VerifiedRequest, *, endpoint: str, received_us: int) -> list[WebhookRecord]:
    """The records of a request, in its order. `endpoint`: the path that it was routed by.

    Raises RequestRefusedError.
    """
    content, provider = verified.content, verified.provider
    account = verified.account and clean_text(verified.account)
    token, query = verified.token, content.query
    metadata = DeliveryMetadata(
        token=token and clean_text(token[:METADATA_LIMIT]),
        query=query and clean_text(query[:QUERY_LIMIT]),
        verified=verified.verified,
        variant=verified.variant,
        remote=verified.remote,
    )
    if content.parameters is not None:
        form, exact = as_object(content.parameters)
        record = record_of(
            source_of(provider, endpoint, form, form=True),
            form,
            received_us=received_us,
            account=account,
            endpoint=endpoint,
            metadata=metadata,
            original=None if exact else content.raw,
        )
        if record.key is None:
            record = record._replace(ignored=ignored_reason(record.source, form))
        return [record]
    records = []
    seen: Counter[bytes] = Counter()
    for raw, event in _events(content):
        body = event if type(event) is dict else {}
        record = record_of(
            source_of(provider, endpoint, body, form=False),
            orjson.Fragment(raw),
            received_us=received_us,
            account=account,
            endpoint=endpoint,
            metadata=metadata._replace(attempt=_attempt(body)) if "meta" in body else metadata,
            ordinal=seen[raw],
            subaccounts=verified.subaccounts,
        )
        if record.key is None:
            record = record._replace(ignored=ignored_reason(record.source, body))
        records.append(record)
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


def record_of(
    source: str,
    body: Any,
    *,
    received_us: int,
    account: str | None,
    endpoint: str,
    metadata: DeliveryMetadata,
    original: bytes | None = None,
    ordinal: int = 0,
    subaccounts: Collection[str] = (),
) -> WebhookRecord:
    """The record of one event. Raises RequestRefusedError where it is larger than any reader accepts.

    - `body`: a form's object, or an `orjson.Fragment` of JSON as received.
    - `original`: the form's bytes, where the object cannot hold all of them.
    - `ordinal`: its index among identical events of one request.
    - `subaccounts`: the event belongs to one of these, and not to `account`, where its body says so.
    """
    delivery = metadata._asdict()
    if original is not None:
        delivery["original"] = base64.b64encode(original).decode()

    def written(account: str | None) -> bytes:
        value = write_envelope(
            source,
            body,
            received_us=received_us,
            account=account,
            endpoint=endpoint,
            delivery=delivery,
            ordinal=ordinal,
        )
        if len(value) > VALUE_LIMIT_BYTES:
            raise RequestRefusedError("too_large", "larger than an envelope may be")
        return value

    value = written(account)
    reading = read_back(value)
    if reading is None:
        return WebhookRecord(source, None, value)
    if reading.event.account in subaccounts:
        value = written(reading.event.account)
    delay_us = None if reading.occurred_us is None else received_us - reading.occurred_us
    return WebhookRecord(source, reading.event.key.encode(), value, delay_us)


def read_back(value: bytes) -> Reading | None:
    """What the worker will read of an envelope; None where it cannot.

    Such a record has no key: it goes to any partition, touches no call, and becomes a dead letter with the
    decoder's reason.
    """
    try:
        envelope = read_envelope(value)
        return DECODERS[envelope.source](envelope)[0]
    except DecodeError:
        return None
    except Exception:  # noqa: BLE001  a decoder's bug must not lose a webhook: it can be read later
        return None


def _attempt(body: dict[str, Any]) -> int | None:
    """Telnyx counts its attempts in `meta`."""
    meta = body.get("meta")
    attempt = meta.get("attempt") if type(meta) is dict else None
    return attempt if type(attempt) is int and 0 <= attempt < 1 << 31 else None
