"""How a setting's text is parsed: one function a kind, whose ValueError says what the text must be.

Pure. No message repeats the text, which may be a secret.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

URL = "an http or https URL without user, query and fragment"


MOST_CODES = 100
MOST_ACCOUNTS = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PORT = re.compile(r":([0-9]+)(?=,|$)")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,16}")


def setting(default: Any, meaning: str, read: Callable[[str], Any], *, secret: bool = False) -> Any:
    """The field of a setting. `meaning`: as docs/settings.md says it; `read`: parses its text."""
    about = {"meaning": meaning, "read": read, "secret": secret}
    return field(default=default, repr=not secret, metadata=about)


def text(value: str) -> str:
    return value


def words(value: str) -> tuple[str, ...]:
    return tuple(word for part in value.split(",") if (word := part.strip()))


def codes(value: str) -> tuple[str, ...]:
    """Codes that become labels: few and short, so that the number of series is bounded."""
    found = tuple(dict.fromkeys(words(value)))
    if len(found) > MOST_CODES or not all(_CODE.fullmatch(one) for one in found):
        raise ValueError(f"must be at most {MOST_CODES} codes of letters and digits, with commas")
    return found


LOG_LEVELS = ("debug", "info", "warning", "error")
_OWN_LOGGER = re.compile(r"callstream(\.(?!faust\b).*)?")
"""`callstream.faust` is the logger of Faust's classes: at `debug` they log a record's key and value."""


def log_levels(value: str) -> tuple[tuple[str, str], ...]:
    """(logger, level) of each; a level alone is that of callstream's own loggers.

    At `debug`, libraries log the records and logins that they send.
    """
    pairs = (one.rpartition("=") for one in words(value))
    found = [(name or "callstream", level) for name, _, level in pairs]
    for name, level in found:
        if level not in LOG_LEVELS or not re.fullmatch(r"[A-Za-z_][\w.]*", name):
            raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}, or LOGGER=level, several with commas")
        if level == "debug" and not _OWN_LOGGER.fullmatch(name):
            raise ValueError(
                "must leave `debug` to callstream's own loggers: others would log records and logins"
            )
    return tuple(found)


def account_names(value: str) -> tuple[tuple[str, str], ...]:
    """(account, its name), few and short, because each has its own series."""
    found = _pairs(value, "ACCOUNT=name")
    if len(found) > MOST_ACCOUNTS or not all(_NAME.fullmatch(name) for _, name in found):
        raise ValueError(f"must be at most {MOST_ACCOUNTS} of ACCOUNT=name, names of letters, digits and ._-")
    if len(dict(found)) < len(found):
        raise ValueError("must name each account once")
    return found


def _pairs(value: str, what: str) -> tuple[tuple[str, str], ...]:
    found = []
    for word in words(value.replace("\n", ",")):
        name, _, said = (part.strip() for part in word.partition("="))
        if not name or not said:
            raise ValueError(f"must be {what}, several with commas")
        found.append((name, said))
    return tuple(found)


def named_secrets(value: str) -> tuple[tuple[str, str], ...]:
    """With commas or one a line; a name may come again."""
    return _pairs(value, "NAME=secret")


def named_secret(value: str) -> tuple[tuple[str, str], ...]:
    found = named_secrets(value)
    if len(found) > 1:
        raise ValueError("must be one NAME=secret")
    return found


def extensions(value: str) -> tuple[tuple[str, str], ...]:
    """With commas; of SASL/OAUTHBEARER (RFC 7628 3.1): names are letters, values are printable."""
    found = _pairs(value, "NAME=value")
    if not all(re.fullmatch(r"[A-Za-z]+", name) and said.isprintable() for name, said in found):
        raise ValueError("must be NAME=value with names of letters, several with commas")
    return found


def subaccounts(value: str) -> tuple[tuple[str, str], ...]:
    """With commas; each subaccount once, and no account under itself."""
    found = _pairs(value, "SUBACCOUNT=ACCOUNT")
    if any(name == account for name, account in found):
        raise ValueError("must be SUBACCOUNT=ACCOUNT, several with commas")
    if len(dict(found)) < len(found):
        raise ValueError("names a subaccount twice")
    return found


def _is_key(value: str, lengths: tuple[int, ...]) -> bool:
    """Whether it is base64 of so many bytes."""
    try:
        return len(base64.b64decode(value, validate=True)) in lengths
    except ValueError:
        return False


def private_key(value: str) -> str:
    """An Ed25519 key (RFC 8032), or none."""
    if value and not _is_key(value, (32,)):
        raise ValueError("must be base64 of 32 bytes")
    return value


def public_keys(value: str) -> tuple[str, ...]:
    """Ed25519 keys (RFC 8410), with or without the 12 bytes that a PEM file has before them."""
    keys = words(value)
    if not all(_is_key(key, (32, 44)) for key in keys):
        raise ValueError("must be base64 of 32 bytes, several with commas")
    return keys


def networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(word) for word in words(value))
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, several with commas") from None


def certificate(value: str) -> tuple[Path, ...]:
    files = tuple(map(file_path, words(value)))
    if len(files) not in (0, 2):
        raise ValueError("must be a certificate's file and its key's, with a comma between them")
    return files


def url(value: str) -> str:
    """A base URL, to which paths are added."""
    try:
        named = bool(urlsplit(value).hostname) and urlsplit(value).port != 0
    except ValueError:
        named = False
    if not named or not re.fullmatch(r"https?://[^\s?#@]+", value):
        raise ValueError(f"must be {URL}")
    return value


def page_url(value: str) -> str:
    """Where a page is, or empty. The braces of a template would be taken for placeholders."""
    if value:
        url(value)
        if set(value) & set("{}"):
            raise ValueError("must not contain { or }")
        if value.rstrip("/").endswith("/ui"):
            raise ValueError("must end before /ui, which is added to it")
    return value.rstrip("/")


def path(value: str) -> Path:
    if not value:
        raise ValueError("is empty")
    return file_path(value)


def file_path(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("must be a path without ~: this user's home is not known") from None


def one_of(*choices: str) -> Callable[[str], str]:
    return matching("|".join(choices), f"one of {', '.join(choices)}")


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


def replicas(value: str) -> int:
    """-1 is how Kafka spells the cluster's default."""
    try:
        return -1 if value == "-1" else whole(1, 1000)(value)
    except ValueError:
        raise ValueError("must be a whole number from 1 to 1000, or -1") from None


def processes(value: str) -> int:
    """0 stands for `auto`."""
    try:
        return 0 if value == "auto" else whole(1, 1000)(value)
    except ValueError:
        raise ValueError("must be a whole number from 1 to 1000, or auto") from None


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


def with_ports(pattern: str, what: str) -> Callable[[str], str]:
    """What a port above 65535 comes to differs by system and library, and is nowhere a sentence."""

    def read(value: str) -> str:
        if not re.fullmatch(pattern, value) or any(int(port) > 65_535 for port in _PORT.findall(value)):
            raise ValueError(f"must be {what}")
        return value

    return read


origin = matching(r"(https?://[^\s?#@/]+(/[^\s?#@]*)?)?", URL)
listen = with_ports(r"[^\s/?#@]+:[0-9]{1,5}", "host:port")
servers = with_ports(r"([^\s,:]+:[0-9]{1,5}(,[^\s,:]+:[0-9]{1,5})*)?", "host:port, several with commas")
# The dot at the end keeps two prefixes from sharing an application id.
prefix = matching(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.", "letters, digits, - and _, with a dot at the end")
name = matching(r"[A-Za-z0-9._-]{0,200}", "letters, digits, dots, - and _")

SECONDS = number(0.001, 10_000_000)
