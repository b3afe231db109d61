"""Who asks: what a request's token allows, or a local request where no token is configured."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream.api.problems import Refused
from stream.service.http.listening import is_this_machine
from stream.service.tables.api_tokens import LONGEST_TOKEN, READ_NUMBERS, ApiToken, digest_of

if TYPE_CHECKING:
    from litestar.types import HTTPScope

LOCAL = "local"
"""The name of local requests where no token is configured."""

SESSION_COOKIE = "callstream_session"
"""The cookie in which a browser has its token. It is `HttpOnly` and `SameSite=Strict`."""

READING = ("GET", "HEAD")
"""The methods of requests that a cookie authenticates: a foreign page must change nothing with it."""

FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
"""Headers that a proxy adds. Behind one, every request seems to be local."""

CHALLENGES = 'Bearer realm="callstream", Basic realm="callstream", charset="UTF-8"'

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """- `name`: of the token. - `accounts`: provider ids of the accounts that it reads; None: all of them.
    - `reads_numbers`: numbers are shown as they are stored; otherwise they are masked.
    - `digest`: of the token; a new token of the same name is another caller.
    """

    name: str
    accounts: frozenset[str] | None
    reads_numbers: bool
    digest: str = field(default="", repr=False)

    def may_read(self, account: str | None) -> bool:
        """Whether records of this account may be shown."""
        return self.accounts is None or account in self.accounts


class Callers:
    """Finds the caller of a request. Without tokens, only local requests are allowed."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._local = Caller(LOCAL, None, True)
        self.use(tokens)

    def use(self, tokens: Sequence[ApiToken]) -> None:
        """From now on, these are the tokens."""
        self._by_digest = {
            one.digest: Caller(one.name, one.accounts, READ_NUMBERS in one.scopes, one.digest)
            for one in tokens
        }

    def knows(self, caller: Caller) -> bool:
        """Whether a caller that was found may still read what it could."""
        found = self._by_digest.get(caller.digest) if self.are_configured else self._local
        return found == caller

    @property
    def are_configured(self) -> bool:
        return bool(self._by_digest)

    def of_token(self, token: str) -> Caller | None:
        """The caller with this token. A hash is looked up, so that the time tells nothing of a token."""
        if not token or len(token) > LONGEST_TOKEN:
            return None
        return self._by_digest.get(digest_of(token))

    def of_request(self, scope: HTTPScope) -> Caller:
        """Raises Refused with 401."""
        headers: Headers = dict(scope["headers"])
        if not self.are_configured:
            return self._of_local(scope, headers)
        given = headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, credentials = given.partition(" ")
        user, token = "", ""
        if scheme.lower() == "bearer":
            token = credentials.strip()
        elif scheme.lower() == "basic":
            user, token = user_and_password(credentials)
        elif not given and scope["method"] in READING:
            token = _cookie(headers, SESSION_COOKIE)
        found = self.of_token(token)
        if found is None:
            raise refused("missing" if not given and not token else "unknown")
        if user and user != found.name and not found.may_read(user):
            raise refused("other_account")
        return found

    def _of_local(self, scope: HTTPScope, headers: Headers) -> Caller:
        client = scope.get("client")
        is_local = client is not None and is_this_machine(client[0]) and not any(map(headers.get, FORWARDED))
        if is_local and _names_this_machine(headers.get(b"host", b"").decode("latin-1")):
            return self._local
        raise refused("not_configured")


WHY = {
    "missing": "This needs a token: Authorization: Bearer TOKEN.",
    "unknown": "The token is not known.",
    "other_account": "The token is not one of the account that is named beside it.",
    "not_configured": "No token is configured, so that only requests from this machine are answered, under "
    "a name of it.",
}
"""The reasons for which a request is refused, as the metrics and the caller are told them."""


def refused(reason: str) -> Refused:
    return Refused(401, WHY[reason], kind=reason, headers={"WWW-Authenticate": CHALLENGES})


def user_and_password(credentials: str) -> tuple[str, str]:
    """Those of HTTP Basic; both empty where they cannot be read."""
    try:
        user, _, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _cookie(headers: Headers, name: str) -> str:
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def _names_this_machine(host: str) -> bool:
    """Whether a `Host` header names this machine: a foreign page whose name points here has its own name."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").lower().rstrip(".")
    return name.endswith(".localhost") or is_this_machine(name)
