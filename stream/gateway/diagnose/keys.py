"""Who may have signed: tokens and keys other than the one that the gateway takes for a request.

The rule of this file: a secret goes in and never into a sentence; an account is masked there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stream.gateway.diagnose.diagnosis import Change, Choice, masked
from stream.gateway.receive.credentials import ANY_ACCOUNT, GatewayCredentials
from stream.gateway.receive.request import WebhookRequest
from stream.gateway.receive.twilio_signature import ALGORITHMS, SETTINGS, signature_settings

TOKEN_SETTING = "CALLSTREAM_TWILIO_AUTH_TOKEN"
TOKENS_SETTING = "CALLSTREAM_TWILIO_ACCOUNT_TOKENS"
SUBACCOUNTS_SETTING = "CALLSTREAM_TWILIO_SUBACCOUNTS"
SHARED_SETTING = "CALLSTREAM_TWILIO_SHARED_KEYS"


def keys(
    request: WebhookRequest, credentials: GatewayCredentials, account: str | None, tokens: Sequence[str]
) -> list[Choice]:
    """Each a list of (secret, name of its digest); the first is what the gateway tries.

    `tokens`: what the operator gives to try.
    """
    says = signature_settings(request.value(SETTINGS))
    name = ALGORITHMS.get(says.algorithm, "sha1")
    own = [token for _, token in credentials.tokens_of(account)]
    if says.key is not None:
        key = credentials.twilio_shared_keys.get(says.key)
        own = [key.secret] if key is not None else []
    return [
        Choice([(token, name) for token in own]),
        *_trimmed(own, name),
        *_of_others(credentials, account, name),
        *_shared(credentials, says.key),
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
            mend = f"let the proxy pass {SETTINGS}, and see to the names in {SHARED_SETTING}"
            keys = [(secret, digest_name) for digest_name in ALGORITHMS.values()]
            yield Choice(keys, Change(says, mend, SHARED_SETTING))


def _given(account: str | None) -> Change:
    setting = TOKENS_SETTING if account else TOKEN_SETTING
    return Change("the token is the one that was tried here", f"add it to {setting}", setting)
