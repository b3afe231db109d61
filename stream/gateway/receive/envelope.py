"""The raw envelope: what the gateway lands of one delivery, and the key that it lands under.

The rule of this file: nothing of the provider's is changed. JSON is put in byte for byte as it came, a form
as an object of texts. The key is never worked out here: the very bytes that land are read as the worker will
read them, and its decoder says which call they are of, so that the two cannot disagree.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any, NamedTuple

from stream.core.events import DecodeError, Reading
from stream.gateway.receive.request import clean_text
from stream.kafka.envelope_codec import VALUE_LIMIT_BYTES, read_envelope, write_envelope
from stream.sources import DECODERS

EVIDENCE_LIMIT = 255
"""Characters of a header that is kept as evidence; what is longer was not the provider's."""

QUERY_LIMIT = 8192


class WebhookRecord(NamedTuple):
    """One record for Kafka. `key` None: the worker could not read it either, and will say why.

    `delay_us`: how long after the provider's own time it was received, None where that is unknown.
    """

    source: str
    key: bytes | None
    value: bytes
    delay_us: int | None = None


class DeliveryMetadata(NamedTuple):
    """How a delivery came, in the envelope's `delivery`: evidence, never part of an identity.

    - `token`: Twilio's idempotency token.
    - `attempt`: the provider's count of attempts.
    - `query`: the URL's own query of a POST, as received.
    - `verified`, `variant`: whether its signature was checked, and what fitted.
    - `remote`: the address that it came from, as far as it can be believed.
    """

    token: str | None = None
    attempt: int | None = None
    query: str | None = None
    verified: bool = False
    variant: str | None = None
    remote: str | None = None


def delivery(
    source: str,
    body: Any,
    *,
    received_us: int,
    account: str | None,
    endpoint: str,
    evidence: DeliveryMetadata,
    original: bytes | None = None,
    ordinal: int = 0,
    subaccounts: Collection[str] = (),
) -> WebhookRecord | None:
    """The record of one delivery; None where it is larger than any reader takes.

    - `body`: a form's object, or an `orjson.Fragment` of JSON as received.
    - `original`: the form's bytes, where the object could not say all of them.
    - `ordinal`: its place among identical twins of one request.
    - `subaccounts`: whose it may be instead of `account`'s, where its body names one of them.
    """
    said = {
        "token": _bounded(evidence.token, EVIDENCE_LIMIT),
        "attempt": evidence.attempt,
        "query": _bounded(evidence.query, QUERY_LIMIT),
        "verified": evidence.verified,
        "variant": evidence.variant,
        "remote": evidence.remote,
    }
    if original is not None:
        said["original"] = base64.b64encode(original).decode()

    def written(whose: str | None) -> bytes:
        return write_envelope(
            source,
            body,
            received_us=received_us,
            account=whose,
            endpoint=endpoint,
            delivery=said,
            ordinal=ordinal,
        )

    value = written(account)
    if len(value) > VALUE_LIMIT_BYTES:
        return None
    reading = _reading(value)
    if reading is None:
        return WebhookRecord(source, None, value)
    if subaccounts and reading.event.account in subaccounts:
        value = written(reading.event.account)
    occurred_us = reading.occurred_us
    delay_us = None if occurred_us is None else received_us - occurred_us
    return WebhookRecord(source, reading.event.key.encode(), value, delay_us)


def call_key(value: bytes) -> bytes | None:
    """The key that the worker expects of an envelope; None where it will not read it.

    Without a key it lands in any partition, touches no call, and is a dead letter with the decoder's reason.
    """
    reading = _reading(value)
    return None if reading is None else reading.event.key.encode()


def _reading(value: bytes) -> Reading | None:
    """What the worker will read of an envelope."""
    try:
        envelope = read_envelope(value)
        return DECODERS[envelope.source](envelope)[0]
    except DecodeError:
        return None
    except Exception:  # noqa: BLE001  a fault of ours in a decoder must not lose a delivery: it can be read again
        return None


def _bounded(text: str | None, limit: int) -> str | None:
    return None if text is None else clean_text(text[:limit])
