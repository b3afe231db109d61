"""Personal data is masked before it is folded: what the state does not hold, nothing can show.

Three modes: `masked` (default) keeps the ends of a number so that a person can recognise a call, `hashed`
puts a keyed hash in its place so that equal numbers stay equal, `full` changes nothing.
Texts that nobody needs in order to follow a call (transcripts, digits, names, headers) are blotted out in
both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from stream.core.events import DecodeError, Reading

BLOT = "***"
DEPTH_LIMIT = 32
LONGEST_NAME = 64
"""Characters of the longest name that is anything to mask, and names of an object whose kinds are remembered:
a body's names are its sender's choice."""

_ADDRESSES = frozenset(
    {
        "from",
        "to",
        "caller",
        "called",
        "forwardedfrom",
        "fromformatted",
        "toformatted",
        "callerid",
        "fromsipuri",
        "tosipuri",
        "phonenumber",
        "callerphonenumber",
        "dialedphonenumber",
        "rawto",
        "rawfrom",
        "number",
        "fromnumber",
        "tonumber",
        "originalto",
        "callednumber",
        "callingnumber",
        "targetnumber",
        "participantlabel",
    }
)
_TEXTS = frozenset(
    {
        "callername",
        "calleridname",
        "fromcity",
        "fromstate",
        "fromzip",
        "tocity",
        "tostate",
        "tozip",
        "callercity",
        "callerstate",
        "callerzip",
        "calledcity",
        "calledstate",
        "calledzip",
        "digits",
        "digit",
        "dtmf",
        "transcriptiondata",
        "transcriptiontext",
        "transcript",
        "transcriptionresult",
        "speechresult",
        "unstablespeechresult",
        "responsebody",
        "customheaders",
        "sipheaders",
        "headers",
        "ipaddress",
        "location",
        "lat",
        "lon",
        "city",
        "messagehistory",
        "partialresults",
        "resulttext",
        "recordingurls",
        "publicrecordingurls",
        "recordingurl",
        "clientstate",
        "prompt",
        "body",
        "token",
        "stirpassporttoken",
        "calltoken",
        "card",
        "cardnumber",
        "securitycode",
        "postalcode",
        "bankaccountnumber",
        "bankroutingnumber",
        "expirationdate",
        "password",
        "authorization",
        "twiml",
    }
)
_URLS = frozenset(
    {"url", "streamurl", "mediaurl", "deliveredto", "endpoint", "statuscallback", "webhookurl", "callbackurl"}
)


def _kind(name: str) -> str | None:
    return _known_kind(name) if len(name) <= LONGEST_NAME else None


@lru_cache(maxsize=8192)
def _known_kind(name: str) -> str | None:
    plain = name.replace("_", "").replace("-", "").lower()
    if plain in _ADDRESSES:
        return "address"
    if plain in _TEXTS:
        return "text"
    return "url" if plain in _URLS else None


def _mask(text: str) -> str:
    if text[:1] == "+" and len(text) >= 8 and text[1:].isdigit():
        return text[:3] + "*" * (len(text) - 5) + text[-2:]
    scheme, colon, rest = text.partition(":")
    if colon and scheme.isalpha():
        user, at, host = rest.partition("@")
        return f"{scheme}:{_mask_middle(user)}{at}{host}"
    return _mask_middle(text)


def _mask_middle(text: str) -> str:
    if not any(c.isalnum() for c in text):
        return text
    if len(text) < 8:
        return text[:1] + "*" * (len(text) - 1)
    return text[:3] + "*" * (len(text) - 5) + text[-2:]


def bare_url(url: str) -> str:
    """A URL without user info, query and fragment; what is no URL becomes the blot."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return BLOT
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Privacy:
    """How numbers, addresses and texts leave.

    `mode` is `masked`, `hashed` or `full`; `secret` keys the hashes (a hash of a phone number without a key
    is read back in minutes). Raises ValueError on another mode, and on `hashed` without a secret.
    """

    def __init__(self, mode: str = "masked", secret: str = "") -> None:
        if mode not in {"masked", "hashed", "full"}:
            raise ValueError(f"unknown privacy mode {mode!r}: masked, hashed or full")
        if mode == "hashed" and not secret:
            raise ValueError("privacy mode hashed needs a secret")
        self.mode = mode
        key = hashlib.sha256(secret.encode()).digest()

        def keyed(text: str) -> str:
            return (
                "h:"
                + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).hexdigest()
            )

        address: Callable[[str], str] = _mask if mode == "masked" else keyed
        self.address: Callable[[str], str] = lru_cache(maxsize=65536)(address)

    def apply(self, reading: Reading) -> None:
        """Mask what a reading carries, in place. Raises DecodeError(`too_deep`) on a body nested too far."""
        if self.mode == "full":
            return
        event = reading.event
        if event.attributes:
            event.attributes = self._object(event.attributes, 0)
        facts = reading.facts
        if facts:
            if number := facts.get("from"):
                facts["from"] = self.address(number)
            if number := facts.get("to"):
                facts["to"] = self.address(number)

    def _object(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        """Masks in place: names that always come together are looked up together."""
        names = tuple(fields)
        plan = _plan(names) if len(names) <= LONGEST_NAME else _plan.__wrapped__(names)
        if _all_texts(fields):
            for name in plan.texts:
                if fields[name]:
                    fields[name] = BLOT
            address = self.address
            for name in plan.addresses:
                if value := fields[name]:
                    fields[name] = address(value)
            for name in plan.urls:
                if value := fields[name]:
                    fields[name] = bare_url(value)
            return fields
        for name, kind in plan.kinds:
            value = fields[name]
            if type(value) is not str:
                fields[name] = self._value(value, kind, depth)
            elif value:
                fields[name] = self._text(value, kind)
        for name, value in fields.items():
            if type(value) in _NESTED and _kind(name) is None:
                fields[name] = self._value(value, None, depth)
        return fields

    def _text(self, text: str, kind: str) -> str:
        if kind == "address":
            return self.address(text)
        return BLOT if kind == "text" else bare_url(text)

    def _value(self, value: Any, kind: str | None, depth: int) -> Any:
        if value is None or type(value) is bool:
            return value
        if kind == "text":
            return BLOT
        if depth >= DEPTH_LIMIT:
            raise DecodeError("too_deep", f"nested more than {DEPTH_LIMIT} levels")
        if type(value) is dict:
            # A copy: readings of one delivery may share what is inside, and a hash is not hashed again.
            return self._object(dict(value), depth + 1)
        if type(value) is list:
            return [self._item(item, kind, depth + 1) for item in value]
        return self.address(str(value)) if kind == "address" else value

    def _item(self, item: Any, kind: str | None, depth: int) -> Any:
        if type(item) is str:
            return self._text(item, kind) if kind is not None else item
        return self._value(item, kind, depth)


_NESTED = (dict, list)


def _all_texts(fields: dict[str, Any]) -> bool:
    """The cheapest way that Python has to ask."""
    try:
        "".join(fields.values())
    except TypeError:
        return False
    return True


class _Plan(NamedTuple):
    """Which names carry something to mask: with their kinds, and by kind."""

    kinds: list[tuple[str, str]]
    texts: list[str]
    addresses: list[str]
    urls: list[str]


@lru_cache(maxsize=512)
def _plan(names: tuple[str, ...]) -> _Plan:
    kinds = [(name, kind) for name in names if (kind := _kind(name)) is not None]
    by_kind = [[name for name, its in kinds if its == kind] for kind in ("text", "address", "url")]
    return _Plan(kinds, *by_kind)
