"""Whether a request is its provider's: the one decision before anything of it is used.

Pure: the clock is an argument. What was checked is handed on as `Content`, never the request itself. A
request without a signature is accepted only where the operator allows that, and is then marked as not
verified.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from stream.core.timestamps import rfc2822
from stream.gateway.receive import telnyx_signature, twilio_signature
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.form_body import Pairs, last
from stream.gateway.receive.parsed_request import Content, ParsedRequest
from stream.gateway.receive.public_url import public_url
from stream.gateway.receive.request import RequestRefusedError

FEW_KEYS = 4
"""More than an account has while one is replaced by the next."""

IDEMPOTENCY_TOKEN = "I-Twilio-Idempotency-Token"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request that may be written to Kafka.

    - `account`: the one whose token or key matched, or its configured subaccount that the request names;
      where neither belongs to an account, as the request names it, else None.
    - `subaccounts`: whose events that account may sign too.
    - `verified`: False where it came without a signature and that is allowed.
    - `variant`: what matched, for the record's delivery metadata; None where nothing was checked.
    - `remote`: the client's address as far as it can be believed.
    - `token`: Twilio's idempotency token, a header that no signature covers: metadata only.
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


def verify(
    parsed: ParsedRequest, credentials: GatewayCredentials, now_s: float, *, keys_at_most: int = sys.maxsize
) -> VerifiedRequest:
    """The request as far as it may be used; `now_s` is Unix time. Raises RequestRefusedError.

    `keys_at_most`: where more keys may have signed it, none is tried and it is refused.
    """
    check = _telnyx if parsed.provider == "telnyx" else _twilio
    return check(parsed, credentials, now_s, keys_at_most)


def _twilio(
    parsed: ParsedRequest, credentials: GatewayCredentials, now_s: float, keys_at_most: int
) -> VerifiedRequest:
    request, content = parsed.request, parsed.content
    signature = request.header(twilio_signature.SIGNATURE)
    if credentials.accept_unsigned and (
        signature is None or not (credentials.twilio_tokens or credentials.twilio_shared_keys)
    ):
        return _accepted(parsed, content)
    settings = twilio_signature.signature_settings(request.header(twilio_signature.SETTINGS))
    keys = _keys(credentials, settings.key, parsed.account)
    if len(keys) > keys_at_most:
        raise RequestRefusedError("bad_signature", "more keys may have signed it than are tried now")
    url = public_url(request, parsed.client, credentials.public_url)
    if url is None:
        raise RequestRefusedError("malformed", "the request names no host")
    match = twilio_signature.verify(
        [token for _, token in keys],
        url.text,
        signature,
        parameters=content.parameters if parsed.is_form else None,
        body=request.body,
        algorithm=settings.algorithm,
    )
    age_s = claimed_age_s(content.parameters, now_s)
    if age_s > credentials.twilio_max_age_s:
        raise RequestRefusedError(
            "stale_timestamp", f"its Timestamp is {age_s:.0f} s before our clock's time"
        )
    owner = keys[match.key][0]
    return _accepted(
        parsed,
        content,
        account=parsed.account or owner or None,
        variant=f"{settings.algorithm.lower()} key={match.key} port={match.port} url={url.told_by}",
        # A form names its account; of a batch each event may.
        subaccounts=credentials.subaccounts_of(owner) if content.parameters is None else frozenset(),
    )


def _keys(credentials: GatewayCredentials, shared: str | None, account: str | None) -> list[tuple[str, str]]:
    """(account, secret) of each key that may have signed. `shared`: the id of the key that is named."""
    if shared is None:
        found = credentials.tokens_of(account)
        if not found:
            raise RequestRefusedError(
                "unknown_account", "no auth token is configured for the account that it names"
            )
        return found
    key = credentials.twilio_shared_keys.get(shared)
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
    at_us = None if timestamp is None else rfc2822(timestamp)
    return 0.0 if at_us is None else now_s - at_us / 1_000_000


def _telnyx(
    parsed: ParsedRequest, credentials: GatewayCredentials, now_s: float, keys_at_most: int
) -> VerifiedRequest:
    request = parsed.request
    signature = request.header(telnyx_signature.SIGNATURE)
    if credentials.accept_unsigned and (signature is None or not credentials.telnyx_keys):
        return _accepted(parsed, parsed.content)
    if signature is None and telnyx_signature.VERSION_1_SIGNATURE in request.headers:
        raise RequestRefusedError(
            "bad_signature", "signed as webhook API version 1 does, which cannot be checked"
        )
    if not credentials.telnyx_keys:
        raise RequestRefusedError("unknown_account", "no public key of Telnyx is configured")
    if len(credentials.telnyx_keys) > keys_at_most:
        raise RequestRefusedError("bad_signature", "more keys may have signed it than are tried now")
    if request.method == "GET":  # else a captured body, sent as a query, would be read as parameters
        raise RequestRefusedError("bad_signature", "a GET of Telnyx has nothing that its signature covers")
    content = parsed.body_content
    match = telnyx_signature.verify(
        credentials.telnyx_keys,
        request.header(telnyx_signature.TIMESTAMP),
        signature,
        content.raw,
        now_s=now_s,
        tolerance_s=credentials.telnyx_tolerance_s,
    )
    variant = f"ed25519 key={match.key} age_s={match.age_s:.0f}"
    return _accepted(parsed, content, account=parsed.account, variant=variant)


def _accepted(
    parsed: ParsedRequest,
    content: Content,
    *,
    account: str | None = None,
    variant: str | None = None,
    subaccounts: frozenset[str] = frozenset(),
) -> VerifiedRequest:
    """`variant` None: nothing was checked, and the request is of the account that it names."""
    return VerifiedRequest(
        provider=parsed.provider,
        account=parsed.account if variant is None else account,
        verified=variant is not None,
        variant=variant,
        remote=parsed.client.remote,
        token=parsed.request.header(IDEMPOTENCY_TOKEN),
        content=content,
        subaccounts=subaccounts,
    )
