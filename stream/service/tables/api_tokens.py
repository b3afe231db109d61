"""The tokens of the API: one line for each, which holds the token's hash and never the token.

    # name  scopes             accounts         hash of the token
    grafana read               *                sha256:9f86d081…
    oncall  read,read:numbers  AC…a,AC…b        sha256:60303ae2…

A token has 256 random bits, so that one round of SHA-256 protects it: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

READ = "read"
READ_NUMBERS = "read:numbers"
SCOPES = (READ, READ_NUMBERS)
ALL_ACCOUNTS = "*"

LONGEST_TOKEN = 512
"""Characters of what is hashed to find a token."""

PREFIX = "cst_"
"""How a token begins, so that a scanner of secrets can recognise one."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """One line. `accounts`: provider ids of accounts; None: all of them. `digest`: SHA-256 of the token."""

    name: str
    scopes: frozenset[str]
    accounts: frozenset[str] | None
    digest: str


def new_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def line_of(name: str, scopes: Iterable[str], accounts: Iterable[str], token: str) -> str:
    """The line of a token. Raises ValueError where it could not be read again."""
    said = ",".join(one for one in SCOPES if one in set(scopes))
    line = f"{name} {said} {','.join(accounts) or ALL_ACCOUNTS} sha256:{digest_of(token)}"
    read_line(line)
    return line


_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})"
    r"\s+(?P<scopes>[a-z:]+(?:,[a-z:]+)*)"
    r"\s+(?P<accounts>\*|[A-Za-z0-9._-]{1,200}(?:,[A-Za-z0-9._-]{1,200})*)"
    r"\s+sha256:(?P<digest>[0-9a-f]{64})"
)


def read_line(line: str) -> ApiToken:
    """Raises ValueError, which does not repeat the line."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError("must be lines of `NAME SCOPES ACCOUNTS sha256:HASH`")
    scopes = frozenset(match["scopes"].split(","))
    if not scopes <= set(SCOPES) or READ not in scopes:
        raise ValueError(f"must have lines whose scopes are {READ}, or {READ} and {READ_NUMBERS}")
    accounts = match["accounts"]
    of = None if accounts == ALL_ACCOUNTS else frozenset(accounts.split(","))
    return ApiToken(match["name"], scopes, of, match["digest"])


def read_tokens(text: str) -> tuple[ApiToken, ...]:
    """The tokens of a setting's text: a line each, or with `;` between them. Raises ValueError."""
    lines = (line.partition("#")[0].strip() for part in text.splitlines() for line in part.split(";"))
    found = tuple(read_line(line) for line in lines if line)
    if len({one.name for one in found}) < len(found):
        raise ValueError("must name each token once")
    if len({one.digest for one in found}) < len(found):
        raise ValueError("must have each hash once")
    return found


def of_all_accounts(name: str, token: str) -> ApiToken:
    """A token that was given itself: it reads all accounts, without numbers."""
    return ApiToken(name, frozenset({READ}), None, digest_of(token))
