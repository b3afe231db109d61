"""X-Twilio-Signature: which key, if any, signed this URL with these parameters or this body.

The URL is used byte for byte, apart from what Twilio leaves out of it: user info and fragment. It is tried
with and without its port, because Twilio signs voice over https without the port and everything else with it,
and its own libraries try both. A form signs its parameters, any other body only through `bodySHA256` in the
query: a body that no signature covers is refused. (Twilio: "Secure webhooks", "Sign webhooks with shared
keys".)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

from stream.gateway.receive.request import TWILIO_SIGNATURE, Pairs, RequestRefusedError, wire_bytes

SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
"""`key=<id of a shared key>,algorithm=<name>`, where a webhook is signed with a key of the customer's."""

ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
TRIED_BYTES = 4 << 20
"""What is hashed for one request at most: two to three milliseconds. 900 keys on a URL of an ordinary length,
which is all that is signed where a body names no account; 10 on a form of 200 KB, which always names one.
"""

TRIED_AT_LEAST = 4
DIGEST_BYTES = 2000
"""The fixed cost of one digest, expressed in bytes of message."""

_DEFAULT_PORTS = {"https": "443", "http": "80"}


@lru_cache(maxsize=64)
def signature_settings(header: str | None) -> tuple[str | None, str]:
    """(the id of the shared key, None where an auth token signed; the algorithm) of the settings header."""
    key, algorithm = None, "HMAC_SHA1"
    for part in (header or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "key" and value.strip():
            key = value.strip()
        elif name.strip() == "algorithm" and value.strip():
            algorithm = value.strip().upper()
    return key, algorithm


def verify(
    keys: Sequence[str],
    url: str,
    signature: str | None,
    *,
    parameters: Pairs | None = None,
    body: bytes = b"",
    algorithm: str = "HMAC_SHA1",
) -> tuple[int, str]:
    """Which of `keys` (auth tokens, or the secret of a shared key) signed, and how the port was signed.

    The key by its index, the port as `as_sent`, `without` or `default`. Raises RequestRefusedError.

    `parameters` are those of a form POST; None for anything else, whose `body` must then be empty or hashed
    in the URL.
    """
    if not signature:
        raise RequestRefusedError("missing_signature", f"the header {TWILIO_SIGNATURE} is missing")
    digest_name = ALGORITHMS.get(algorithm)
    if digest_name is None:
        raise RequestRefusedError("bad_signature", "the signature's algorithm is not known")
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise RequestRefusedError("malformed", "the signature is not base64") from None
    if parameters is None and body and not _covers(url, body):
        raise RequestRefusedError("bad_signature", "bodySHA256 in the URL is missing or not the body's")
    tail = signed_tail(parameters or [])
    messages = [(port, variant + tail) for port, variant in url_variants(url)]
    # The cost of a request is bounded. One that names its account has one key or two: these are always tried.
    tried = max(TRIED_AT_LEAST, TRIED_BYTES // sum(len(message) + DIGEST_BYTES for _, message in messages))
    for port, message in messages:
        for at, key in enumerate(keys[:tried]):
            if hmac.compare_digest(hmac.digest(key.encode(), message, digest_name), given):
                return at, port
    if tried < len(keys):
        raise RequestRefusedError(
            "bad_signature",
            f"no key signed this URL and these parameters, of the first {tried} of {len(keys)}: "
            "no more are tried for a request of this size that names no account",
        )
    raise RequestRefusedError("bad_signature", "no key signed this URL and these parameters")


def signed_tail(parameters: Pairs) -> bytes:
    """What a form adds to the URL: names and values in order, each distinct pair once."""
    return b"".join([name + value for name, value in sorted(set(parameters))])


def url_variants(url: str) -> list[tuple[str, bytes]]:
    """The texts that Twilio may have signed for a URL, most likely first: (how the port is, bytes)."""
    scheme, _, rest = url.partition("#")[0].partition("://")
    end = min(at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0)
    tail = wire_bytes(rest[end:])
    return [(how, origin + tail) for how, origin in _signed_origins(scheme, rest[:end])]


@lru_cache(maxsize=64)
def _signed_origins(scheme: str, authority: str) -> list[tuple[str, bytes]]:
    """What may stand before a URL's path, without user info. A gateway has few public URLs."""
    authority = authority.rpartition("@")[2]
    host, port = split_port(authority)
    default = _DEFAULT_PORTS.get(scheme.lower(), "")
    authorities = [("as_sent", authority), ("without", host), ("default", f"{host}:{port or default}")]
    if scheme.lower() == "https":
        authorities[:2] = authorities[1::-1]
    if not port:
        authorities = [("as_sent", authority), ("default", f"{host}:{default}")]
    found: dict[bytes, str] = {}
    for how, one in authorities:
        found.setdefault(wire_bytes(f"{scheme}://{one}"), how)
    return [(how, text) for text, how in found.items()]


def split_port(authority: str) -> tuple[str, str]:
    """(host, port) of an authority without user info; the port empty where there is none (RFC 3986 3.2)."""
    host, colon, port = authority.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host.endswith("]")):
        return host, port
    return authority, ""


def body_hashes(url: str) -> list[bytes]:
    """The values of `bodySHA256` in a URL's query."""
    query = wire_bytes(url.partition("#")[0].partition("?")[2])
    parts = (part.partition(b"=") for part in query.split(b"&"))
    return [value.lower() for name, _, value in parts if name == b"bodySHA256"]


def _covers(url: str, body: bytes) -> bool:
    """Whether the URL holds the body's hash. All of the URL is signed, so any of several may match."""
    actual = hashlib.sha256(body).hexdigest().encode()
    return any(hmac.compare_digest(actual, hashed) for hashed in body_hashes(url))
