"""Telnyx' signature: Ed25519 over the time stamp, a bar and the raw body.

The rule of this file: the body is the bytes that came; a body that was read and written again has another
signature. The clock is an argument. An empty body is refused: its signature says nothing of the query, so
that whoever has seen one could send any.
(Telnyx: "Webhook fundamentals"; the encoding of the public key is that of Mission Control.)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stream.gateway.receive.refusal import Refusal
from stream.gateway.receive.request import wire_bytes

SIGNATURE = "telnyx-signature-ed25519"
TIMESTAMP = "telnyx-timestamp"
VERSION_1_SIGNATURE = "X-Telnyx-Signature"
"""Of webhook API version 1: an HMAC whose exact form Telnyx no longer documents."""

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What a PEM file has before the 32 bytes (RFC 8410 4)."""


class TelnyxMatch(NamedTuple):
    """What fitted: the place of the key, and how many seconds ago it was signed (negative: in our future)."""

    key: int
    age_s: float


def public_key(text: str) -> Ed25519PublicKey:
    """The key in base64, as Telnyx shows it; the inside of a PEM file too. Raises ValueError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is no base64") from None
    if len(raw) == len(_SPKI_PREFIX) + _KEY_BYTES and raw.startswith(_SPKI_PREFIX):
        raw = raw[len(_SPKI_PREFIX) :]
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"is {len(raw)} bytes and not {_KEY_BYTES}")
    return Ed25519PublicKey.from_public_bytes(raw)


def verify(
    keys: Sequence[Ed25519PublicKey],
    timestamp: str | None,
    signature: str | None,
    body: bytes,
    *,
    now_s: float,
    tolerance_s: float,
) -> TelnyxMatch | Refusal:
    """Which of `keys` signed `body` at `timestamp` (Unix seconds), at most `tolerance_s` from now."""
    if not signature:
        return Refusal("missing_signature", f"the header {SIGNATURE} is missing")
    if not timestamp:
        return Refusal("missing_signature", f"the header {TIMESTAMP} is missing")
    signed_s = seconds(timestamp)
    if signed_s is None:
        return Refusal("malformed", f"{TIMESTAMP} is no Unix time")
    raw = signature_bytes(signature)
    if raw is None:
        return Refusal("malformed", f"{SIGNATURE} is not base64 of {_SIGNATURE_BYTES} bytes")
    if not body:
        return Refusal("bad_signature", "there is no body that a signature could cover")
    age_s = now_s - signed_s
    if not abs(age_s) <= tolerance_s:
        return Refusal("stale_timestamp", f"signed {age_s:.0f} s before our clock's time")
    message = wire_bytes(timestamp) + b"|" + body
    for at, key in enumerate(keys):
        if signed_by(key, raw, message):
            return TelnyxMatch(at, age_s)
    return Refusal("bad_signature", "no key signed this body and this time")


def signed_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def seconds(timestamp: str) -> int | None:
    """Unix seconds: 1 to 12 ASCII digits."""
    fits = 0 < len(timestamp) <= 12 and timestamp.isascii() and timestamp.isdigit()
    return int(timestamp) if fits else None


def signature_bytes(signature: str) -> bytes | None:
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _SIGNATURE_BYTES else None
