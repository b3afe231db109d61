"""Telnyx' signature: Ed25519 over the time stamp, a bar and the raw body.

The body is the bytes that came: a body that was parsed and written again has another signature. The clock is
an argument. An empty body is refused: its signature does not cover the query, so anyone who has seen one
could send any query. (Telnyx: "Webhook fundamentals"; the encoding of the public key is that of Mission
Control.)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stream.gateway.receive.request import TELNYX_SIGNATURE, RequestRefusedError, wire_bytes

TIMESTAMP = "telnyx-timestamp"

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What precedes the 32 bytes in a PEM file (RFC 8410 4)."""


def public_key(text: str) -> Ed25519PublicKey:
    """The key in base64, as Telnyx shows it or as in a PEM file. Raises ValueError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
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
) -> tuple[int, float]:
    """Which of `keys`, by its index, signed `body` at `timestamp`, and how many seconds ago.

    `timestamp` is Unix seconds, at most `tolerance_s` from now. Raises RequestRefusedError.
    """
    if not signature or not timestamp:
        missing = TIMESTAMP if signature else TELNYX_SIGNATURE
        raise RequestRefusedError("missing_signature", f"the header {missing} is missing")
    signed_s, raw = seconds(timestamp), signature_bytes(signature)
    if signed_s is None:
        raise RequestRefusedError("malformed", f"{TIMESTAMP} is not a Unix time")
    if raw is None:
        raise RequestRefusedError(
            "malformed", f"{TELNYX_SIGNATURE} is not base64 of {_SIGNATURE_BYTES} bytes"
        )
    if not body:
        raise RequestRefusedError("bad_signature", "the request has no body for a signature to cover")
    age_s = now_s - signed_s
    if not abs(age_s) <= tolerance_s:
        raise RequestRefusedError("stale_timestamp", f"signed {age_s:.0f} s before our clock's time")
    message = wire_bytes(timestamp) + b"|" + body
    for at, key in enumerate(keys):
        if signed_by(key, raw, message):
            return at, age_s
    raise RequestRefusedError("bad_signature", "no key signed this body and this time")


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
