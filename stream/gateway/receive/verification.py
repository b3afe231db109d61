"""Whether a request is its provider's: the one decision before anything of it is used.

The rule of this file: pure; the clock is an argument, and nothing of the request is read further than the
signature needs. What was checked is what is handed on, as `Content`, and never the request. A request without
a signature is taken only where that was allowed, and then marked so.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace

from stream.core.timestamps import rfc2822
from stream.gateway.receive import telnyx_signature, twilio_signature
from stream.gateway.receive.content import Content, of_body, of_url_and_body
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.form_body import Pairs, TooManyParametersError, last
from stream.gateway.receive.public_url import believed, public_url
from stream.gateway.receive.refusal import Refusal
from stream.gateway.receive.request import WebhookRequest

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ACCOUNT_LIMIT = 255
FEW_KEYS = 4
"""More than an account has while one is replaced by the next."""

SMALL_BYTES = 8192
FEW_PARAMETERS = 100
"""A request with no more than these is as large as what a provider sends of one event."""

IDEMPOTENCY_TOKEN = "I-Twilio-Idempotency-Token"

_TOO_MANY_KEYS = Refusal("bad_signature", "more keys may have signed it than are tried now")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request that may be landed.

    - `account`: the one whose token or key fitted, or its configured subaccount that the request names; where
      neither belongs to an account, as the request names it, else None.
    - `subaccounts`: for which that account signs too.
    - `verified`: False where it came without a signature and that is allowed.
    - `variant`: what fitted, for the delivery's evidence; None where nothing was checked.
    - `remote`: the client's address as far as it can be believed.
    - `token`: Twilio's idempotency token, a header that no signature covers: evidence.
    - `content`: what the signature covers; where nothing was checked, all of the request.
    """

    provider: str
    account: str | None
    verified: bool
    variant: str | None
    remote: str | None
    token: str | None
    content: Content
    subaccounts: frozenset[str] = frozenset()


def costs_little(request: WebhookRequest) -> bool:
    """Whether to verify it with FEW_KEYS costs less than to read and answer it does."""
    parameters = request.body.count(b"&") + request.target.count("&")
    return len(request.body) <= SMALL_BYTES and parameters <= FEW_PARAMETERS


def verify(
    request: WebhookRequest, credentials: GatewayCredentials, now_s: float, *, keys_at_most: int = sys.maxsize
) -> VerifiedRequest | Refusal:
    """Whether to take the request; `now_s` is Unix time.

    `keys_at_most`: where more may have signed it, none is tried and it is refused.
    """
    try:
        content = of_url_and_body(request)
        if provider_of(request, content.parameters) == "telnyx":
            return _telnyx(request, content, credentials, now_s, keys_at_most)
    except TooManyParametersError:
        return Refusal("malformed", "more parameters than a provider sends")
    return _twilio(request, content, credentials, now_s, keys_at_most)


def provider_of(request: WebhookRequest, parameters: Pairs | None) -> str:
    """Whose request it says it is: by its signature, else by the form of its account, else by its path.

    Telnyx' TeXML callbacks look like Twilio's, and are set up in the same way to the same place.
    """
    signed_by = {
        provider
        for provider, header in (
            ("twilio", twilio_signature.SIGNATURE),
            ("telnyx", telnyx_signature.SIGNATURE),
            ("telnyx", telnyx_signature.VERSION_1_SIGNATURE),
        )
        if request.value(header) is not None
    }
    if len(signed_by) == 1:
        return signed_by.pop()
    if not signed_by and _UUID.fullmatch(last(parameters or [], b"AccountSid") or ""):
        return "telnyx"
    return "telnyx" if "telnyx" in request.path.split("/") else "twilio"


def _unchecked(
    request: WebhookRequest, content: Content, credentials: GatewayCredentials, provider: str
) -> VerifiedRequest:
    """What a request says of itself, before anything is known of its signature."""
    hop = believed(request, credentials.trusted_proxies)[1]
    named = (last(content.parameters or [], b"AccountSid") or "")[:_ACCOUNT_LIMIT]
    return VerifiedRequest(
        provider=provider,
        account=named or None,
        verified=False,
        variant=None,
        remote=hop.remote,
        token=request.value(IDEMPOTENCY_TOKEN),
        content=content,
    )


def _twilio(
    request: WebhookRequest,
    content: Content,
    credentials: GatewayCredentials,
    now_s: float,
    keys_at_most: int,
) -> VerifiedRequest | Refusal:
    claimed = _unchecked(request, content, credentials, "twilio")
    signature = request.value(twilio_signature.SIGNATURE)
    if credentials.accept_unsigned and (
        signature is None or not (credentials.twilio_tokens or credentials.twilio_shared_keys)
    ):
        return claimed
    says = twilio_signature.signature_settings(request.value(twilio_signature.SETTINGS))
    keys = _keys(credentials, says.key, claimed.account)
    if isinstance(keys, Refusal):
        return keys
    if len(keys) > keys_at_most:
        return _TOO_MANY_KEYS
    seen = public_url(request, credentials.public_url, credentials.trusted_proxies)
    if seen is None:
        return Refusal("malformed", "the request names no host")
    match = twilio_signature.verify(
        [token for _, token in keys],
        seen.text,
        signature,
        parameters=content.parameters if request.is_form else None,
        body=request.body,
        algorithm=says.algorithm,
    )
    if isinstance(match, Refusal):
        return match
    age_s = told_age_s(content.parameters, now_s)
    if age_s > credentials.twilio_max_age_s:
        return Refusal("stale_timestamp", f"its Timestamp is {age_s:.0f} s before our clock's time")
    variant = f"{says.algorithm.lower()} key={match.key} port={match.port} url={seen.said_by}"
    owner = keys[match.key][0]
    return replace(
        claimed,
        account=claimed.account or owner or None,
        verified=True,
        variant=variant,
        subaccounts=credentials.subaccounts_of(owner),
    )


def told_age_s(parameters: Pairs | None, now_s: float) -> float:
    """How old a request says that it is; 0 where it does not say so in a way that can be read.

    Twilio signs no time of its own, but a callback tells when what it tells of was.
    """
    told = last(parameters or [], b"Timestamp")
    told_us = None if told is None else rfc2822(told)
    return 0.0 if told_us is None else now_s - told_us / 1_000_000


def _keys(
    credentials: GatewayCredentials, shared: str | None, account: str | None
) -> list[tuple[str, str]] | Refusal:
    """(account, secret) of all that may have signed. `shared`: the id of the shared key that it names."""
    if shared is None:
        found = credentials.tokens_of(account)
        return found or Refusal(
            "unknown_account", "no auth token is configured for the account that it names"
        )
    key = credentials.twilio_shared_keys.get(shared)
    if key is None:
        return Refusal("bad_signature", "signed with a shared key that is not configured")
    if not credentials.speaks_for(key.account, account):
        return Refusal("unknown_account", "signed with the shared key of another account than it names")
    return [(key.account, key.secret)]


def _telnyx(
    request: WebhookRequest, sent: Content, credentials: GatewayCredentials, now_s: float, keys_at_most: int
) -> VerifiedRequest | Refusal:
    signature = request.value(telnyx_signature.SIGNATURE)
    if credentials.accept_unsigned and (signature is None or not credentials.telnyx_keys):
        return _unchecked(request, sent, credentials, "telnyx")
    if signature is None and request.value(telnyx_signature.VERSION_1_SIGNATURE) is not None:
        return Refusal("bad_signature", "signed as webhook API version 1 does, which cannot be checked")
    if not credentials.telnyx_keys:
        return Refusal("unknown_account", "no public key of Telnyx is configured")
    if len(credentials.telnyx_keys) > keys_at_most:
        return _TOO_MANY_KEYS
    if request.method == "GET":
        return Refusal("bad_signature", "a GET of Telnyx has nothing that its signature covers")
    content = of_body(request)
    match = telnyx_signature.verify(
        credentials.telnyx_keys,
        request.value(telnyx_signature.TIMESTAMP),
        signature,
        content.raw,
        now_s=now_s,
        tolerance_s=credentials.telnyx_tolerance_s,
    )
    if isinstance(match, Refusal):
        return match
    claimed = _unchecked(request, content, credentials, "telnyx")
    return replace(claimed, verified=True, variant=f"ed25519 key={match.key} age_s={match.age_s:.0f}")
