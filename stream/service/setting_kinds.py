"""How a setting's text is parsed: one function a kind, whose ValueError says what the text must be.

Pure. No message repeats the text, which may be a secret.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit


def text(value: str) -> str:
    return value


def words(value: str) -> tuple[str, ...]:
    return tuple(word for part in value.split(",") if (word := part.strip()))


def named_secrets(value: str) -> tuple[tuple[str, str], ...]:
    """`NAME=secret` with commas or one a line; a name may come again."""
    found = []
    for word in words(value.replace("\n", ",")):
        name, _, secret = word.partition("=")
        if not name.strip() or not secret.strip():
            raise ValueError("must be NAME=secret, several with commas")
        found.append((name.strip(), secret.strip()))
    return tuple(found)


def subaccounts(value: str) -> tuple[tuple[str, str], ...]:
    """`subaccount=account` with commas; each subaccount once, and no account under itself."""
    found = []
    for word in words(value):
        name, _, account = (part.strip() for part in word.partition("="))
        if not name or not account or name == account:
            raise ValueError("must be SUBACCOUNT=ACCOUNT, several with commas")
        found.append((name, account))
    if len(dict(found)) < len(found):
        raise ValueError("names a subaccount twice")
    return tuple(found)


def named_secret(value: str) -> tuple[tuple[str, str], ...]:
    found = named_secrets(value)
    if len(found) > 1:
        raise ValueError("must be one NAME=secret")
    return found


def private_key(value: str) -> str:
    """An Ed25519 key (RFC 8032): base64 of its 32 bytes."""
    try:
        length = len(base64.b64decode(value, validate=True))
    except ValueError:
        length = -1
    if length != 32 and value:
        raise ValueError("must be base64 of 32 bytes")
    return value


def public_keys(value: str) -> tuple[str, ...]:
    """Ed25519 keys (RFC 8410), 32 bytes, with or without the 12 that a PEM file has before them."""
    keys = words(value)
    for key in keys:
        try:
            length = len(base64.b64decode(key, validate=True))
        except ValueError:
            length = 0
        if length not in (32, 44):
            raise ValueError("must be base64 of 32 bytes, several with commas")
    return keys


def networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(word) for word in words(value))
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, several with commas") from None


def certificate(value: str) -> tuple[Path, ...]:
    files = tuple(Path(word).expanduser() for word in words(value))
    if len(files) not in (0, 2):
        raise ValueError("must be a certificate's file and its key's, with a comma between them")
    return files


def origin(value: str) -> str:
    if not re.fullmatch(r"(https?://[^\s?#@/]+(/[^\s?#@]*)?)?", value):
        raise ValueError("must be an http or https URL without user, query and fragment")
    return value


def url(value: str) -> str:
    """A base URL, to which paths are added."""
    try:
        named = bool(urlsplit(value).hostname) and urlsplit(value).port != 0
    except ValueError:
        named = False
    if not named or not re.fullmatch(r"https?://[^\s?#@]+", value):
        raise ValueError("must be an http or https URL without user, query and fragment")
    return value


def path(value: str) -> Path:
    if not value:
        raise ValueError("is empty")
    return Path(value).expanduser()


def one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return read


def some_of(*choices: str) -> Callable[[str], tuple[str, ...]]:
    """Some of the choices with commas, in their order; `none` for none of them."""

    def read(value: str) -> tuple[str, ...]:
        found = words(value)
        if found == ("none",):
            return ()
        if not found or set(found) - set(choices):
            raise ValueError(f"must be some of {', '.join(choices)}, with commas, or none")
        return tuple(choice for choice in choices if choice in found)

    return read


def whole(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}")
        return number

    return read


def matching(pattern: str, what: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}")
        return value

    return read


listen = matching(r".+:[0-9]{1,5}", "host:port")
servers = matching(r"([^\s,:]+:[0-9]{1,5}(,[^\s,:]+:[0-9]{1,5})*)?", "host:port, several with commas")
# The dot at the end keeps two prefixes from sharing an application id.
prefix = matching(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.", "letters, digits, - and _, with a dot at the end")
name = matching(r"[A-Za-z0-9._-]{0,200}", "letters, digits, dots, - and _")

SECONDS = number(0.001, 10_000_000)
