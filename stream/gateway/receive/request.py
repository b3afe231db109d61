"""A webhook request as it came over the wire, and nothing that was made of it.

The rule of this file: nothing is decoded here. A signature is over bytes, so that the target, the headers and
the body are kept as they were received. The server makes one of these for each request, the signature doctor
gets them from a capture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One request. A `repr` shows none of what a provider or a customer sent.

    - `target`: the request line's target, path and query byte for byte; bytes that are no UTF-8 as lone
      surrogates.
    - `headers`: in their order, names in any case.
    - `remote`: the address of the other end of the socket, None where it has none.
    - `secure`: whether that socket is TLS.
    """

    method: str
    target: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    remote: str | None = None
    secure: bool = False

    def values(self, name: str) -> list[str]:
        """All values of a header, in their order."""
        name, length = name.lower(), len(name)
        return [value for given, value in self.headers if len(given) == length and given.lower() == name]

    def value(self, name: str) -> str | None:
        """A header's value; repeated ones as HTTP joins them, so that two signatures are none that fits."""
        found = self.values(name)
        return ", ".join(found) if found else None

    @property
    def path_and_query(self) -> str | None:
        """The target from its path on (RFC 9112 3.2.1, 3.2.2); None where it has no path.

        A fragment is no part of a target and of nothing that is signed: it ends before one.
        """
        target = self.target.partition("#")[0]
        if target.startswith("/"):
            return target
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            return None
        for at, character in enumerate(rest):
            if character in "/?":
                return rest[at:] if character == "/" else "/" + rest[at:]
        return "/"

    @property
    def path(self) -> str:
        return (self.path_and_query or "").partition("?")[0]

    @property
    def query(self) -> str | None:
        """What follows the first `?`, as received; None where there is no `?`."""
        _, mark, query = (self.path_and_query or "").partition("?")
        return query if mark else None

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty where there is none."""
        return (self.value("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def is_form(self) -> bool:
        return self.method == "POST" and self.media_type == FORM


def wire_bytes(text: str) -> bytes:
    """The bytes that a header's or target's text came as."""
    return text.encode("utf-8", "surrogateescape")


def clean_text(text: str) -> str:
    """The same text where it is UTF-8; what is not is replaced, since JSON has no way to say it."""
    return text if text.isascii() else wire_bytes(text).decode("utf-8", "replace")
