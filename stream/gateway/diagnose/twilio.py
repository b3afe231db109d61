"""Why Twilio's signature does not fit: the URL, the parameters or the token that it would have fitted with.

The rule of this file: each dimension in which a received request differs from the signed one (scheme, host,
port, path, query, body, key) is a list of choices whose first is what the gateway uses. The search takes the
fewest changes first and is bounded; what it finds is true, since only the right one gives the signature.
Pure; for a rejected request, off the request path.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

from stream.gateway.diagnose.bodies import BODY_MEND, bodies, lenient_pairs
from stream.gateway.diagnose.diagnosis import FITS, Change, Choice, Diagnosis, fits_if, masked
from stream.gateway.diagnose.keys import TOKEN_SETTING, TOKENS_SETTING, keys
from stream.gateway.diagnose.urls import URL_SETTING, hosts, paths, ports, queries, query_of, schemes
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.form_body import last
from stream.gateway.receive.forwarded import forwarded, x_forwarded
from stream.gateway.receive.public_url import believed, contradicts_itself, is_trusted, public_url
from stream.gateway.receive.refusal import Refusal
from stream.gateway.receive.request import WebhookRequest, clean_text, wire_bytes
from stream.gateway.receive.twilio_signature import SIGNATURE, body_hashes, digest, split_port, url_variants
from stream.gateway.receive.verification import VerifiedRequest, verify

PROXIES_SETTING = "CALLSTREAM_TRUSTED_PROXIES"
MAX_AGE_SETTING = "CALLSTREAM_TWILIO_MAX_AGE_S"

WORK_LIMIT_BYTES = 96 * 1024 * 1024
"""Bytes that are signed for one request, at most: about half a second."""

_TRY_BYTES = 1024
"""What a signature costs beside the bytes that it signs, in bytes."""


class _Url(NamedTuple):
    scheme: str
    authority: str
    port: str
    path: str
    query: str


def diagnose(
    request: WebhookRequest,
    credentials: GatewayCredentials,
    now_s: float,
    *,
    tokens: Sequence[str] = (),
    urls: Sequence[str] = (),
) -> Diagnosis:
    """What would have to be otherwise.

    - `now_s`: when it was received, in Unix time.
    - `tokens`: auth tokens that may be the right one.
    - `urls`: public URLs that may be the one that Twilio has.
    """
    verified = verify(request, credentials, now_s)
    if isinstance(verified, VerifiedRequest) and verified.verified:
        return FITS
    if isinstance(verified, Refusal) and verified.reason == "stale_timestamp":
        return Diagnosis(
            False,
            f"The signature fits, but {verified.detail}, more than {MAX_AGE_SETTING} allows: "
            "an old request was sent again, or our clock runs ahead.",
            (MAX_AGE_SETTING,),
        )
    signature = request.value(SIGNATURE)
    if not signature:
        return Diagnosis(
            None,
            f"The header {SIGNATURE} is missing: the request is not Twilio's, or a proxy drops the header.",
        )
    try:
        wanted = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return Diagnosis(
            None, f"The header {SIGNATURE} is no base64: it was changed on its way or came twice."
        )
    account = _account(request)
    found = _search(_dimensions(request, credentials, account, tokens, urls), wanted)
    if found is None:
        return _nothing_fits(credentials, account)
    changes = _mended(request, credentials, *found)
    if not changes:
        why = verified.detail if isinstance(verified, Refusal) else "unsigned requests are taken"
        return Diagnosis(None, f"The signature itself fits, but the gateway did not check it: {why}.")
    return fits_if("Twilio", changes)


def _search(dimensions: Sequence[list[Choice]], wanted: bytes) -> tuple[_Url, list[Change]] | None:
    """The fewest choices other than the first with which the signature is right."""
    work = 0
    query_at, body_at = 4, 5
    for changed in range(5):
        for places in combinations(range(len(dimensions)), changed):
            if changed > 2 and (query_at in places or body_at in places):
                continue
            lists = [each[1:] if at in places else each[:1] for at, each in enumerate(dimensions)]
            for picked in product(*lists):
                url = _Url(*(choice.value for choice in picked[:5]))
                tail, keys = picked[5].value, picked[6].value
                for message in _messages(url, tail):
                    for secret, name in keys:
                        if hmac.compare_digest(digest(secret, message, name), wanted):
                            return url, [choice.change for choice in picked if choice.change is not None]
                        work += len(message) + _TRY_BYTES
                if work > WORK_LIMIT_BYTES:
                    return None
    return None


def _messages(url: _Url, tail: bytes) -> Iterator[bytes]:
    authority = f"{split_port(url.authority)[0]}:{url.port}" if url.port else url.authority
    for _, text in url_variants(f"{url.scheme}://{authority}{url.path}{url.query}"):
        yield text + tail


def _dimensions(
    request: WebhookRequest,
    credentials: GatewayCredentials,
    account: str | None,
    tokens: Sequence[str],
    urls: Sequence[str],
) -> list[list[Choice]]:
    """Scheme, host, port, path, query, body, key."""
    seen = public_url(request, credentials.public_url, credentials.trusted_proxies)
    # `urlsplit` raises an error where brackets hold no address, and whoever asks chooses the host.
    scheme, _, rest = (seen.origin if seen is not None else "http://").partition("://")
    authority, slash, path = rest.partition("/")
    return [
        _once([Choice(scheme), *schemes()]),
        _once([Choice(authority.rpartition("@")[2]), *hosts(request, urls)]),
        _once([Choice(""), *ports(request)]),
        _once([Choice(slash + path + request.path), *paths(request, slash + path, urls)]),
        _once([Choice(query_of(request)), *queries(request)]),
        _once(bodies(request)),
        keys(request, credentials, account, tokens),
    ]


def _once(choices: Sequence[Choice]) -> list[Choice]:
    """Each value where it comes first."""
    found: dict[Any, Choice] = {}
    for choice in choices:
        found.setdefault(choice.value, choice)
    return list(found.values())


def _account(request: WebhookRequest) -> str | None:
    sent = request.body if request.is_form else wire_bytes(request.query or "")
    return (last(lenient_pairs(sent), b"AccountSid") or "").strip() or None


def _mended(
    request: WebhookRequest, credentials: GatewayCredentials, url: _Url, changes: list[Change]
) -> list[Change]:
    """The changes with what to do about them: all that is before the path is one setting."""
    mend = _url_mend(request, credentials, url)
    found = [change._replace(mend=mend) if change.setting == URL_SETTING else change for change in changes]
    if request.body and not request.is_form and not any("as a form" in change.says for change in changes):
        actual = hashlib.sha256(request.body).hexdigest().encode()
        if actual not in body_hashes(f"{url.path}{url.query}"):
            found.append(Change("the body is the one whose hash was signed", BODY_MEND))
    return found


def _url_mend(request: WebhookRequest, credentials: GatewayCredentials, url: _Url) -> str:
    authority = f"{split_port(url.authority)[0]}:{url.port}" if url.port else url.authority
    prefix = url.path.removesuffix(request.path) if url.path.endswith(request.path) else ""
    mend = f"set {URL_SETTING}={url.scheme}://{authority}{clean_text(prefix)}"
    hops = forwarded(request) or x_forwarded(request)
    if credentials.public_url or prefix or not hops:
        return mend
    said = ((hops[0].scheme or "").lower(), hops[0].host or request.value("Host"))
    remote = believed(request, ())[1].remote
    if contradicts_itself(request):
        return f"{mend}, for Forwarded and X-Forwarded-* differ, and then neither is believed"
    if remote is None or is_trusted(remote, credentials.trusted_proxies):
        return mend
    if said == (url.scheme, authority):
        return f"{mend}, or {PROXIES_SETTING}={remote} if that is your proxy"
    return mend


def _nothing_fits(credentials: GatewayCredentials, account: str | None) -> Diagnosis:
    if account is not None and not credentials.tokens_of(account):
        return Diagnosis(
            None,
            f"Account {masked(account)} is not configured: set {TOKENS_SETTING} with its token.",
            (TOKENS_SETTING,),
        )
    if not credentials.twilio_tokens and not credentials.twilio_shared_keys:
        return Diagnosis(None, f"No auth token is configured: set {TOKEN_SETTING}.", (TOKEN_SETTING,))
    return Diagnosis(
        None,
        f"No variant of this request fits: the auth token is not the account's primary one "
        f"({TOKEN_SETTING}), or the public URL is unlike all that was tried ({URL_SETTING}).",
        (TOKEN_SETTING, URL_SETTING),
    )
