"""From a verified request to its records: one for a callback, one for each event of a batch.

Nothing here sees the request, only what was verified of it. Whatever the provider sent is written, even if
nobody can read it: the worker then says what is wrong with it. Only what is neither a form nor JSON, or is
too large, is refused: no retry helps there.

Nothing of the provider's is changed: JSON is put into the envelope byte for byte, a form as an object of
texts. Only half a surrogate pair, which no parser follows, becomes U+FFFD. A record's key comes from the
worker's own decoder, so the two agree about which call it belongs to.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from typing import Any, NamedTuple

import msgspec
import orjson

from stream.core.events import DecodeError, Envelope, Reading
from stream.core.timestamps import utc
from stream.gateway.receive.credentials import Signer
from stream.gateway.receive.request import FORM, Content, Pairs, RequestRefusedError, clean_text
from stream.gateway.receive.source_detection import ignored_reason, source_of
from stream.gateway.receive.verification import VerifiedRequest
from stream.kafka.envelope_codec import VALUE_LIMIT_BYTES, write_envelope
from stream.sources import DECODERS
from stream.sources.fields import check_depth

BATCH_LIMIT = 1000
"""Events of one request. Twilio's largest batch is smaller by far; a body has room for many empty objects."""

METADATA_LIMIT = 255
"""Characters of a header that is kept in the delivery metadata. Providers send shorter ones."""

QUERY_LIMIT = 8192

PARSED_LEVELS = 800
"""Levels of nesting that every parser follows, on every Python. The worker refuses far fewer."""

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape in JSON; the group is half a surrogate pair, as of an emoji that was cut in two."""


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
        "verified": verified.variant is not None,
        "variant": verified.variant,
        "remote": verified.remote,
    }
    if content.parameters is not None:
        form, exact = as_object(content.parameters)
        if not exact:
            delivery["original"] = base64.b64encode(content.raw).decode()
        source = source_of(provider, endpoint, form, form=True)
        envelope = Envelope(source, received_at, form, received_us, account, endpoint)
        return [record_of(envelope, delivery, orjson.dumps(form))]
    records = []
    seen: Counter[bytes] = Counter()
    for raw, event in _events(content):
        body = event if type(event) is dict else {}  # which has no key either
        source = source_of(provider, endpoint, body, form=False)
        delivered = delivery | {"attempt": _attempt(body)}
        envelope = Envelope(source, received_at, body, received_us, account, endpoint, ordinal=seen[raw])
        records.append(record_of(envelope, delivered, raw, verified.signer))
        seen[raw] += 1
    return records


def _events(content: Content) -> list[tuple[bytes, Any]]:
    """(its bytes, what they say) of each event of a JSON body."""
    if not content.is_json:
        raise RequestRefusedError("unsupported_media_type", f"neither {FORM} nor JSON")
    body, value = _parsed(content.raw)
    if body.count(b"[") + body.count(b"{") > PARSED_LEVELS:
        _check_levels(value)
    if type(value) is dict:
        return [(body, value)]
    if type(value) is not list:
        raise RequestRefusedError("malformed", "the body is neither an object nor an array")
    if len(value) > BATCH_LIMIT:
        raise RequestRefusedError("too_large", f"more than {BATCH_LIMIT} events")
    raw = msgspec.json.decode(body, type=list[msgspec.Raw])
    return list(zip(map(bytes, raw), value, strict=True))


def _parsed(raw: bytes) -> tuple[bytes, Any]:
    """(the body as it is written, what it says). Half a character of one event must not lose a batch."""
    try:
        return raw, orjson.loads(raw)
    except orjson.JSONDecodeError:
        whole = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], raw)
    try:
        return whole, orjson.loads(whole)
    except orjson.JSONDecodeError:
        raise RequestRefusedError("malformed", "the body is not JSON") from None


def _parent_of(reading: Reading) -> str | None:
    """The main account that an entry of the error log names beside its own."""
    parent = reading.event.attributes.get("master_account_sid") if reading.remark is not None else None
    return parent if type(parent) is str else None


def _check_levels(value: Any) -> None:
    try:
        check_depth(value, PARSED_LEVELS)
    except DecodeError:
        raise RequestRefusedError("malformed", "the body is nested deeper than a parser follows") from None


def _attempt(body: dict[str, Any]) -> int | None:
    """Telnyx counts its attempts in `meta`."""
    meta = body.get("meta")
    attempt = meta.get("attempt") if type(meta) is dict else None
    return attempt if type(attempt) is int and 0 <= attempt < 1 << 31 else None


def as_object(parameters: Pairs) -> tuple[dict[str, str | list[str]], bool]:
    """(the object of a raw envelope, whether all of it is UTF-8).

    A parameter that was sent several times is a list in its order. U+FFFD replaces what is not UTF-8; the
    caller then keeps the original bytes too.
    """
    body: dict[str, str | list[str]] = {}
    exact = True
    for raw_name, raw_value in parameters:
        try:
            name, value = raw_name.decode(), raw_value.decode()
        except UnicodeDecodeError:
            name, value = raw_name.decode("utf-8", "replace"), raw_value.decode("utf-8", "replace")
            exact = False
        before = body.get(name)
        if before is None:
            body[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            body[name] = [before, value]
    return body, exact


def record_of(
    envelope: Envelope, delivery: dict[str, Any], raw: bytes, signer: Signer | None = None
) -> WebhookRecord:
    """The record of one event. Raises RequestRefusedError where it is larger than any reader accepts.

    - `envelope`: the worker's decoder, which gives the key, may change its body.
    - `delivery`: how the event was delivered, as it is written.
    - `raw`: the body as JSON, which is written in its place.
    - `signer`: an event of one of its subaccounts belongs to that, and not to the envelope's account.

    A record that the worker cannot read has no key: it goes to any partition, touches no call, and becomes a
    dead letter with the decoder's reason.
    """
    source, account, key, delay_us, ignored = envelope.source, envelope.account, None, None, None
    try:
        reading = DECODERS[source](envelope)[0]
    except Exception as error:  # noqa: BLE001  a decoder's bug must not lose a webhook: it can be read later
        body = orjson.loads(raw)
        if isinstance(error, DecodeError) and type(body) is dict:
            ignored = ignored_reason(source, body)
    else:
        key = reading.event.key.encode()
        if signer is not None and signer.speaks_for(reading.event.account, _parent_of(reading)):
            account = reading.event.account
        delay_us = None if reading.occurred_us is None else envelope.received_us - reading.occurred_us
    value = write_envelope(
        source,
        orjson.Fragment(raw),
        received_us=envelope.received_us,
        account=account,
        endpoint=envelope.endpoint or "",
        delivery=delivery,
        ordinal=envelope.ordinal,
    )
    if len(value) > VALUE_LIMIT_BYTES:
        raise RequestRefusedError("too_large", "larger than an envelope may be")
    return WebhookRecord(source, key, value, delay_us, ignored)
