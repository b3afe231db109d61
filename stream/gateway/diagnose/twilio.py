"""Why Twilio's signature does not fit: the URL, the parameters or the token with which it would.

A received request may differ from the signed one in seven dimensions: scheme, host, port, path, query, body
and key. Each is a list of choices whose first is what the gateway uses. The search tries the fewest changes
first and is bounded. What it finds is true, since only the right choices give the signature. Pure; for a
refused request, off the request path.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

from stream.gateway.diagnose.bodies import BODY_MEND, bodies
from stream.gateway.diagnose.diagnosis import FITS, Change, Choice, Diagnosis, fits_if, masked
from stream.gateway.diagnose.urls import (
    ORDERED_LIMIT,
    QUERY_MEND,
    URL_SETTING,
    codings,
    hosts,
    orders,
    paths,
    ports,
    queries,
    query_of,
    schemes,
)
from stream.gateway.receive.credentials import ANY_ACCOUNT, GatewayCredentials
from stream.gateway.receive.forwarded import forwarded, x_forwarded
from stream.gateway.receive.public_url import clean_address, contradicts_itself, is_trusted, public_origin
from stream.gateway.receive.request import TWILIO_SIGNATURE, ParsedRequest, RequestRefusedError, clean_text
from stream.gateway.receive.twilio_signature import (
    ALGORITHMS,
    SETTINGS,
    body_hashes,
    signature_settings,
    split_port,
    url_variants,
)
from stream.gateway.receive.verification import tokens_of, verify

TOKEN_SETTING = "CALLSTREAM_TWILIO_AUTH_TOKEN"
TOKENS_SETTING = "CALLSTREAM_TWILIO_ACCOUNT_TOKENS"
SUBACCOUNTS_SETTING = "CALLSTREAM_TWILIO_SUBACCOUNTS"
SHARED_SETTING = "CALLSTREAM_TWILIO_SHARED_KEYS"
PROXIES_SETTING = "CALLSTREAM_TRUSTED_PROXIES"
MAX_AGE_SETTING = "CALLSTREAM_TWILIO_MAX_AGE_S"

WORK_LIMIT_BYTES = 96 * 1024 * 1024
"""The most bytes signed by one step of a search: about half a second."""

_TRY_BYTES = 1024
"""The fixed cost of one signature, expressed in bytes signed."""


class _Url(NamedTuple):
    scheme: str
    authority: str
    port: str
    path: str
    query: str


def diagnose(
    parsed: ParsedRequest,
    credentials: GatewayCredentials,
    now_s: float,
    *,
    tokens: Sequence[str] = (),
    urls: Sequence[str] = (),
) -> Diagnosis:
    """What would have to change.

    - `now_s`: when it was received, in Unix time.
    - `tokens`: auth tokens that may be the right one.
    - `urls`: public URLs that may be the one that Twilio has.
    """
    request, why = parsed.request, "unsigned requests are taken"
    try:
        if verify(parsed, credentials, now_s).variant is not None:
            return FITS
    except RequestRefusedError as error:
        why = error.detail
        if error.reason == "stale_timestamp":
            return Diagnosis(
                False,
                f"The signature fits, but {why}, more than {MAX_AGE_SETTING} allows: "
                "an old request was sent again, or our clock runs ahead.",
                (MAX_AGE_SETTING,),
            )
    signature = request.header(TWILIO_SIGNATURE)
    if not signature:
        return Diagnosis(
            None,
            f"The header {TWILIO_SIGNATURE} is missing: the request is not Twilio's, or a proxy drops the "
            "header.",
        )
    try:
        wanted = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return Diagnosis(
            None, f"The header {TWILIO_SIGNATURE} is not base64: it was changed on its way or came twice."
        )
    found = _search(parsed, _dimensions(parsed, credentials, tokens, urls), wanted)
    if found is None:
        return _nothing_fits(parsed, credentials)
    changes = _mended(parsed, credentials, *found)
    if not changes:
        return Diagnosis(None, f"The signature itself fits, but the gateway did not check it: {why}.")
    return fits_if("Twilio", changes)


class _Search:
    """The search for the choices with which the signature is right, until a number of bytes is signed."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._spent_bytes = 0

    def first_fit(
        self, tried: Iterable[Sequence[Choice]], limit_bytes: int
    ) -> tuple[_Url, list[Change]] | None:
        """The first that fits, and what it changes. `limit_bytes`: of this call."""
        limit_bytes += self._spent_bytes
        for picked in tried:
            url = _Url(*(choice.value for choice in picked[:5]))
            for message in _messages(url, picked[5].value):
                for secret, name in picked[6].value:
                    if hmac.compare_digest(hmac.digest(secret.encode(), message, name), self._wanted):
                        return url, [choice.change for choice in picked if choice.change is not None]
                    self._spent_bytes += len(message) + _TRY_BYTES
            if self._spent_bytes > limit_bytes:
                return None
        return None


def _search(
    parsed: ParsedRequest, dimensions: Sequence[list[Choice]], wanted: bytes
) -> tuple[_Url, list[Change]] | None:
    """The fewest choices other than the first with which the signature is right.

    The orders of a query are many: beside one, nothing else differs but the key.
    """
    search = _Search(wanted)
    *others, _, body, _ = (each[0] for each in dimensions)
    query = parsed.query or ""
    coded = [*dict.fromkeys((query, *codings(query)))]
    keys = [key for key in dimensions[-1] if key.value]
    ordered = ([*others, order, body, key] for key in keys for order in orders(parsed, coded))
    return (
        search.first_fit(_changed(dimensions, range(2)), WORK_LIMIT_BYTES // 4)
        or search.first_fit(ordered, WORK_LIMIT_BYTES // 4)
        or search.first_fit(_changed(dimensions, range(2, 5)), WORK_LIMIT_BYTES)
    )


def _changed(dimensions: Sequence[list[Choice]], counts: range) -> Iterator[Sequence[Choice]]:
    """A choice of each dimension: in `counts` of them another than the first, in the others the first."""
    query_at, body_at, key_at = 4, 5, 6
    has_key = bool(dimensions[key_at][0].value)
    for count in counts:
        for places in combinations(range(len(dimensions)), count):
            # Without a key nothing is signed, and no limit would end the search.
            if (has_key or key_at in places) and (count <= 2 or not {query_at, body_at} & {*places}):
                yield from product(
                    *(each[1:] if at in places else each[:1] for at, each in enumerate(dimensions))
                )


def _messages(url: _Url, tail: bytes) -> Iterator[bytes]:
    authority = f"{split_port(url.authority)[0]}:{url.port}" if url.port else url.authority
    for _, text in url_variants(f"{url.scheme}://{authority}{url.path}{url.query}"):
        yield text + tail


def _dimensions(
    parsed: ParsedRequest, credentials: GatewayCredentials, tokens: Sequence[str], urls: Sequence[str]
) -> list[list[Choice]]:
    """Scheme, host, port, path, query, body, key."""
    headers = parsed.request.headers
    seen = public_origin(parsed, credentials.public_url)
    # `urlsplit` raises an error where brackets hold no address, and the sender chooses the host.
    scheme, _, rest = (seen[0] if seen is not None else "http://").partition("://")
    authority, slash, path = rest.partition("/")
    return [
        _once([Choice(scheme), *schemes()]),
        _once([Choice(authority.rpartition("@")[2]), *hosts(headers, urls)]),
        _once([Choice(""), *ports(headers)]),
        _once([Choice(slash + path + parsed.path), *paths(parsed, slash + path, urls)]),
        _once([Choice(query_of(parsed)), *queries(parsed)]),
        _once(bodies(parsed)),
        _keys(parsed, credentials, tokens),
    ]


def _account(parsed: ParsedRequest) -> str | None:
    return (parsed.account or "").strip() or None


def _once(choices: Sequence[Choice]) -> list[Choice]:
    """Each value once, where it comes first."""
    found: dict[Any, Choice] = {}
    for choice in choices:
        found.setdefault(choice.value, choice)
    return list(found.values())


def _mended(
    parsed: ParsedRequest, credentials: GatewayCredentials, url: _Url, changes: list[Change]
) -> list[Change]:
    """The changes with what to do about them: one setting covers all that is before the path."""
    mend, body = _url_mend(parsed, credentials, url), parsed.request.body
    found = [change._replace(mend=mend) if change.setting == URL_SETTING else change for change in changes]
    if body and not parsed.is_form and not any("as a form" in change.says for change in changes):
        actual = hashlib.sha256(body).hexdigest().encode()
        if actual not in body_hashes(f"{url.path}{url.query}"):
            found.append(Change("the body is the one whose hash was signed", BODY_MEND))
    return found


def _url_mend(parsed: ParsedRequest, credentials: GatewayCredentials, url: _Url) -> str:
    authority = f"{split_port(url.authority)[0]}:{url.port}" if url.port else url.authority
    prefix = url.path.removesuffix(parsed.path) if url.path.endswith(parsed.path) else ""
    mend = f"set {URL_SETTING}={url.scheme}://{authority}{clean_text(prefix)}"
    headers = parsed.request.headers
    hops = forwarded(headers) or x_forwarded(headers)
    if credentials.public_url or prefix or not hops:
        return mend
    said = ((hops[0].scheme or "").lower(), hops[0].host or parsed.request.header("Host"))
    remote = clean_address(parsed.request.remote)
    if contradicts_itself(headers):
        return f"{mend}, for Forwarded and X-Forwarded-* differ, and then neither is believed"
    if remote is None or is_trusted(remote, credentials.trusted_proxies):
        return mend
    if said == (url.scheme, authority):
        return f"{mend}, or {PROXIES_SETTING}={remote} if that is your proxy"
    return mend


def _nothing_fits(parsed: ParsedRequest, credentials: GatewayCredentials) -> Diagnosis:
    account = _account(parsed)
    if account is not None and not tokens_of(credentials, account):
        return Diagnosis(
            None,
            f"Account {masked(account)} is not configured: set {TOKENS_SETTING} with its token.",
            (TOKENS_SETTING,),
        )
    if not credentials.twilio_tokens and not credentials.twilio_shared_keys:
        return Diagnosis(None, f"No auth token is configured: set {TOKEN_SETTING}.", (TOKEN_SETTING,))
    many = len((parsed.query or "").split("&")) > ORDERED_LIMIT
    query = f", or the query's parameters, too many to try all their orders, were sorted: {QUERY_MEND}"
    return Diagnosis(
        None,
        f"No variant of this request fits: the auth token is not the account's primary one "
        f"({TOKEN_SETTING}), or the public URL is unlike all that was tried ({URL_SETTING})"
        f"{query if many else ''}.",
        (TOKEN_SETTING, URL_SETTING),
    )


def _keys(parsed: ParsedRequest, credentials: GatewayCredentials, tokens: Sequence[str]) -> list[Choice]:
    """Each a list of (secret, name of its digest); the first is what the gateway tries.

    A secret goes in and never into a sentence; an account is masked there.
    `tokens`: what the operator gives to try.
    """
    account = _account(parsed)
    shared, algorithm = signature_settings(parsed.request.header(SETTINGS))
    name = ALGORITHMS.get(algorithm, "sha1")
    own = [token for _, token in tokens_of(credentials, account)]
    if shared is not None:
        key = credentials.twilio_shared_keys.get(shared)
        own = [key.secret] if key is not None else []
    return [
        Choice([(token, name) for token in own]),
        *_trimmed(own, name),
        *_of_others(credentials, account, name),
        *_shared(credentials, shared),
        *(Choice([(token.strip(), name)], _given(account)) for token in tokens),
    ]


def _trimmed(own: list[str], name: str) -> Iterator[Choice]:
    keys = [(bare, name) for token in own if (bare := token.strip("\"' \t\r\n")) != token and bare]
    if keys:
        says = "the configured token is taken without the quotes or blanks around it"
        yield Choice(keys, Change(says, f"take them out of {TOKEN_SETTING}", TOKEN_SETTING))


def _of_others(credentials: GatewayCredentials, account: str | None, name: str) -> Iterator[Choice]:
    for owner, tokens in credentials.twilio_tokens.items():
        if owner not in (account, ANY_ACCOUNT):
            claimed = f"account {masked(account)}" if account else "the account"
            says = f"the token is that of account {masked(owner)}"
            mend = f"name {claimed} as its subaccount in {SUBACCOUNTS_SETTING}, if it is one"
            yield Choice([(token, name) for token in tokens], Change(says, mend, SUBACCOUNTS_SETTING))


def _shared(credentials: GatewayCredentials, key: str | None) -> Iterator[Choice]:
    for name, (_, secret) in credentials.twilio_shared_keys.items():
        if name != key:
            says = "the shared key is another one than the request names"
            mend = f"let the proxy pass {SETTINGS}, and check the names in {SHARED_SETTING}"
            keys = [(secret, digest_name) for digest_name in ALGORITHMS.values()]
            yield Choice(keys, Change(says, mend, SHARED_SETTING))


def _given(account: str | None) -> Change:
    setting = TOKENS_SETTING if account else TOKEN_SETTING
    return Change("the token is the one that was tried here", f"add it to {setting}", setting)
