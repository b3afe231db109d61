"""Whether a request is its provider's: the one decision before anything of it is used.

Pure: the clock is an argument. What was checked is handed on as `Content`, never the request itself. A
request without a signature is accepted only where the operator allows that, and is then marked as not
verified.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stream.core.timestamps import instant
from stream.gateway.receive import telnyx_signature, twilio_signature
from stream.gateway.receive.credentials import ANY_ACCOUNT, GatewayCredentials, Signer
from stream.gateway.receive.public_url import public_origin
from stream.gateway.receive.request import (
    TELNYX_SIGNATURE,
    TELNYX_VERSION_1_SIGNATURE,
    TWILIO_SIGNATURE,
    Content,
    Pairs,
    ParsedRequest,
    RequestRefusedError,
    last,
)

FEW_KEYS = 4
"""More than an account has while one is replaced by the next."""

IDEMPOTENCY_TOKEN = "I-Twilio-Idempotency-Token"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request that may be written to Kafka.

    - `account`: the one whose token or key matched, or its configured subaccount that the request names;
      where neither belongs to an account, as the request names it, else None.
    - `signer`: who signed a batch of events; None of anything else.
    - `variant`: what matched; None where it came without a signature and that is allowed.
    - `remote`: the client's address as far as it can be believed.
    - `token`: Twilio's idempotency token, a header that no signature covers: metadata only.
    - `content`: what the signature covers; where nothing was checked, all of the request.
    """

    provider: str
    account: str | None
    variant: str | None
    remote: str | None
    token: str | None
    content: Content
    signer: Signer | None = None


def verify(
    parsed: ParsedRequest, credentials: GatewayCredentials, now_s: float, *, keys_at_most: int = sys.maxsize
) -> VerifiedRequest:
    """The request as far as it may be used; `now_s` is Unix time. Raises RequestRefusedError.

    `keys_at_most`: where more keys may have signed it, none is tried and it is refused.
    """
    request, account, content = parsed.request, parsed.account, parsed.content
    variant, signer, unsigned = None, None, credentials.accept_unsigned
    if parsed.provider == "telnyx":
        signature = request.header(TELNYX_SIGNATURE)
        if not unsigned or (signature is not None and credentials.telnyx_keys):
            content = replace(content, query=None)  # which the signature does not cover
            variant = _telnyx(parsed, signature, credentials, now_s, keys_at_most)
    else:
        signature = request.header(TWILIO_SIGNATURE)
        known = credentials.twilio_tokens or credentials.twilio_shared_keys
        if not unsigned or (signature is not None and known):
            owner, variant = _twilio(parsed, signature, credentials, now_s, keys_at_most)
            account = account or owner or None
            # A form names its account; of a batch each event may.
            if content.parameters is None:
                signer = credentials.signer(owner)
    return VerifiedRequest(
        provider=parsed.provider,
        account=account,
        variant=variant,
        remote=parsed.client.remote,
        token=request.header(IDEMPOTENCY_TOKEN),
        content=content,
        signer=signer,
    )


def _twilio(
    parsed: ParsedRequest,
    signature: str | None,
    credentials: GatewayCredentials,
    now_s: float,
    keys_at_most: int,
) -> tuple[str, str]:
    """(the account whose key signed it, what matched). Raises RequestRefusedError."""
    request, parameters = parsed.request, parsed.content.parameters
    shared, algorithm = twilio_signature.signature_settings(request.header(twilio_signature.SETTINGS))
    keys = (
        _shared_key(credentials, shared, parsed.account) if shared else tokens_of(credentials, parsed.account)
    )
    if not (keys or shared) and last(parameters or [], b"PayloadType"):
        # The Debugger names a subaccount's parent, which may sign if the subaccount has no token here.
        parent = last(parameters or [], b"ParentAccountSid")
        keys = tokens_of(credentials, parent) if parent else []
    if not keys:
        raise RequestRefusedError(
            "unknown_account", "no auth token is configured for the account that it names"
        )
    if len(keys) > keys_at_most:
        raise RequestRefusedError("bad_signature", "more keys may have signed it than are tried now")
    origin = public_origin(parsed, credentials.public_url)
    if origin is None:
        raise RequestRefusedError("malformed", "the request names no host")
    key, port = twilio_signature.verify(
        [token for _, token in keys],
        origin[0] + parsed.target,
        signature,
        parameters=parameters if parsed.is_form else None,
        body=request.body,
        algorithm=algorithm,
    )
    age_s = claimed_age_s(parameters, now_s)
    if age_s > credentials.twilio_max_age_s:
        raise RequestRefusedError(
            "stale_timestamp", f"its Timestamp is {age_s:.0f} s before our clock's time"
        )
    return keys[key][0], f"{algorithm.lower()} key={key} port={port} url={origin[1]}"


def tokens_of(credentials: GatewayCredentials, account: str | None) -> list[tuple[str, str]]:
    """(account, token) of each that may sign for an account; of every account where None is named.

    Empty where the account has no token.
    """
    tokens = credentials.twilio_tokens
    owners: Iterable[str] = tokens
    if account is not None:
        parent = credentials.twilio_subaccounts.get(account, account)
        owners = dict.fromkeys((account, parent, ANY_ACCOUNT))
    return [(owner, token) for owner in owners for token in tokens.get(owner, ())]


def _shared_key(credentials: GatewayCredentials, name: str, account: str | None) -> list[tuple[str, str]]:
    """(account, secret) of the shared key that a request names. Raises RequestRefusedError."""
    key = credentials.twilio_shared_keys.get(name)
    if key is None:
        raise RequestRefusedError("bad_signature", "signed with a shared key that is not configured")
    if not credentials.may_sign_for(key.account, account):
        raise RequestRefusedError(
            "unknown_account", "signed with the shared key of another account than it names"
        )
    return [(key.account, key.secret)]


def claimed_age_s(parameters: Pairs | None, now_s: float) -> float:
    """How old a request says it is; 0 where it does not say so in a readable way.

    Twilio signs no sending time, but a callback carries the time of its event.
    """
    timestamp = last(parameters or [], b"Timestamp")
    at_us = None if timestamp is None else instant(timestamp)
    return 0.0 if at_us is None else now_s - at_us / 1_000_000


def _telnyx(
    parsed: ParsedRequest,
    signature: str | None,
    credentials: GatewayCredentials,
    now_s: float,
    keys_at_most: int,
) -> str:
    """What matched. Raises RequestRefusedError."""
    request, keys = parsed.request, credentials.telnyx_keys
    if signature is None and TELNYX_VERSION_1_SIGNATURE in request.headers:
        raise RequestRefusedError(
            "bad_signature", "signed as webhook API version 1 does, which cannot be checked"
        )
    if not keys:
        raise RequestRefusedError("unknown_account", "no public key of Telnyx is configured")
    if len(keys) > keys_at_most:
        raise RequestRefusedError("bad_signature", "more keys may have signed it than are tried now")
    if request.method == "GET":  # else a captured body, sent as a query, would be read as parameters
        raise RequestRefusedError("bad_signature", "a GET of Telnyx has nothing that its signature covers")
    key, age_s = telnyx_signature.verify(
        keys,
        request.header(telnyx_signature.TIMESTAMP),
        signature,
        parsed.content.raw,
        now_s=now_s,
        tolerance_s=credentials.telnyx_tolerance_s,
    )
    return f"ed25519 key={key} age_s={age_s:.0f}"
