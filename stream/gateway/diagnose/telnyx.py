"""Why Telnyx' signature does not fit: the key, the clock, or a body that is not the one that was sent.

Tries what proxies and configurations do to a body and to a time, the simplest first. Only a signature that
fits counts. Pure; for a refused request, off the request path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stream.gateway.diagnose.diagnosis import FITS, Change, Diagnosis, fits_if
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import (
    TELNYX_SIGNATURE,
    TELNYX_VERSION_1_SIGNATURE,
    WebhookRequest,
    wire_bytes,
)
from stream.gateway.receive.telnyx_signature import (
    TIMESTAMP,
    public_key,
    seconds,
    signature_bytes,
    signed_by,
)

KEY_SETTING = "CALLSTREAM_TELNYX_PUBLIC_KEY"
TOLERANCE_SETTING = "CALLSTREAM_TELNYX_TOLERANCE_S"

BY_GET = Diagnosis(
    None,
    "A GET of Telnyx is refused: Telnyx' signature covers the body and not the query, so anybody who saw one "
    "request could send any query. Let Telnyx send with POST: status_callback_method of the TeXML "
    "application, statusCallbackMethod and the like in TeXML, webhook_url_method of a command.",
)
_AS_IT_CAME = "let the proxy before the gateway pass the body as it came"


def diagnose(
    request: WebhookRequest, credentials: GatewayCredentials, now_s: float, candidates: Sequence[str] = ()
) -> Diagnosis:
    """What would have to change. `candidates`: public keys that may be the right one."""
    signature, timestamp = request.header(TELNYX_SIGNATURE), request.header(TIMESTAMP)
    if request.method == "GET" and not request.body:
        return BY_GET
    if not signature or not timestamp:
        return _without(request, TELNYX_SIGNATURE if not signature else TIMESTAMP)
    raw, signed_s = signature_bytes(signature), seconds(timestamp)
    if raw is None or signed_s is None:
        said = TELNYX_SIGNATURE if raw is None else TIMESTAMP
        return Diagnosis(None, f"The header {said} is not as Telnyx writes it: it was changed on its way.")
    found = _search(request, credentials, raw, wire_bytes(timestamp), candidates)
    if found is None:
        return _nothing_fits(request, credentials)
    age_s = now_s - signed_s
    if abs(age_s) > credentials.telnyx_tolerance_s:
        found.append(_stale(age_s))
    if request.method == "GET":
        return Diagnosis(
            None,
            "Telnyx' signature covers a body and no query: this GET is somebody's who saw a POST of Telnyx.",
        )
    return fits_if("Telnyx", found) if found else FITS


def _search(
    request: WebhookRequest,
    credentials: GatewayCredentials,
    signature: bytes,
    timestamp: bytes,
    candidates: Sequence[str],
) -> list[Change] | None:
    """The fewest changes with which a key fits; an empty list where it fits as it is."""
    for body_change, body in _bodies(request.body):
        for form_change, message in _messages(timestamp, body):
            for key_change, key in _keys(credentials, candidates):
                if signed_by(key, signature, message):
                    return [one for one in (body_change, form_change, key_change) if one is not None]
    return None


def _keys(
    credentials: GatewayCredentials, candidates: Sequence[str]
) -> Iterator[tuple[Change | None, Ed25519PublicKey]]:
    for key in credentials.telnyx_keys:
        yield None, key
    change = Change("the public key is the one that was tried here", f"add it to {KEY_SETTING}", KEY_SETTING)
    for candidate in candidates:
        try:
            yield change, public_key(candidate.strip())
        except ValueError:
            continue


def _messages(timestamp: bytes, body: bytes) -> Iterator[tuple[Change | None, bytes]]:
    yield None, timestamp + b"|" + body
    other = "the sender is not Telnyx but a tool of your own: sign the time stamp, a bar and the body"
    yield Change("the time stamp is not signed with the body", other), body
    yield Change("a dot stands between time stamp and body", other), timestamp + b"." + body


def _bodies(body: bytes) -> Iterator[tuple[Change | None, bytes]]:
    yield None, body
    seen = {body}
    for says, other in _other_bodies(body):
        if other not in seen:
            seen.add(other)
            yield Change(says, _AS_IT_CAME), other


def _other_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "a line end after the body is left out", body.rstrip(b"\r\n")
    yield "blanks around the body are left out", body.strip()
    yield "a line end follows the body", body + b"\n"
    yield "line ends are those of Unix", body.replace(b"\r\n", b"\n")
    yield "line ends are those of Windows", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "the body has no byte order mark", body.removeprefix(b"\xef\xbb\xbf")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for ascii_only in (False, True):
        for sorted_keys in (False, True):
            for separators in ((",", ":"), (", ", ": ")):
                text = json.dumps(
                    value, ensure_ascii=ascii_only, sort_keys=sorted_keys, separators=separators
                )
                yield "the JSON was not written again after Telnyx sent it", text.encode("utf-8", "replace")


def _without(request: WebhookRequest, name: str) -> Diagnosis:
    if request.header(TELNYX_VERSION_1_SIGNATURE) is not None:
        return Diagnosis(
            None,
            "Telnyx signed as webhook API version 1 does, which cannot be checked: set the connection's "
            "webhook API version to 2.",
        )
    return Diagnosis(
        None, f"The header {name} is missing: the request is not Telnyx', or a proxy drops the header."
    )


def _stale(age_s: float) -> Change:
    when = f"{abs(age_s):.0f} s {'ago' if age_s > 0 else 'in the future'} by this machine's clock"
    return Change(
        f"a request signed {when} is allowed",
        f"set the clock of this machine, or {TOLERANCE_SETTING} if Telnyx sends so late",
        TOLERANCE_SETTING,
    )


def _nothing_fits(request: WebhookRequest, credentials: GatewayCredentials) -> Diagnosis:
    if not credentials.telnyx_keys:
        return Diagnosis(None, f"No public key of Telnyx is configured: set {KEY_SETTING}.", (KEY_SETTING,))
    if not request.body:
        return Diagnosis(
            None, "The body is empty, and a signature over nothing proves nothing: let Telnyx send with POST."
        )
    return Diagnosis(
        None,
        f"No configured public key fits, nor does a changed body: set {KEY_SETTING} to the key that Mission "
        "Control shows for the account that sends this.",
        (KEY_SETTING,),
    )
