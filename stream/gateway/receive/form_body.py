"""A form body or a query: from its bytes to parameters, and from parameters to the envelope's object.

Parameters stay bytes until a signature has been checked over them. Only then do they become text, and a
parameter that was sent several times becomes a list in its order.
"""

from __future__ import annotations

import binascii
import re

PARAMETERS_LIMIT = 1000
"""Parameters of one request. Twilio sends about forty; a body of a hundred thousand is an attack."""

Pairs = list[tuple[bytes, bytes]]
Body = dict[str, str | list[str]]


class TooManyParametersError(ValueError):
    """A form with more parameters than any provider sends."""


def pairs(raw: bytes) -> Pairs:
    """The parameters in their order, empty values included. Raises TooManyParametersError."""
    if raw.count(b"&") >= PARAMETERS_LIMIT:
        raise TooManyParametersError(f"more than {PARAMETERS_LIMIT} parameters")
    found = []
    for part in raw.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            if b"%" in name:
                name = _unescaped(name)
            if b"%" in value:
                value = _unescaped(value)
            found.append((name, value))
    return found


_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def _unescaped(raw: bytes) -> bytes:
    """As `urllib.parse.unquote_to_bytes`, and several times faster where all of a large value is escaped.

    Quoted-printable differs only in its sign, and the standard library decodes it in C.
    """
    escaped = _LONE_PERCENT.sub(b"%25", raw).replace(b"=", b"%3D")
    return binascii.a2b_qp(escaped.replace(b"%", b"="))


def as_object(parameters: Pairs) -> tuple[Body, bool]:
    """(the object of a raw envelope, whether all of it is UTF-8).

    U+FFFD replaces what is not UTF-8; the caller then keeps the original bytes too.
    """
    body: Body = {}
    exact = True
    for raw_name, raw_value in parameters:
        try:
            name, value = raw_name.decode(), raw_value.decode()
        except UnicodeDecodeError:
            name, value = raw_name.decode("utf-8", "replace"), raw_value.decode("utf-8", "replace")
            exact = False
        before = body.get(name)
        if before is None:
            body[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            body[name] = [before, value]
    return body, exact


def last(parameters: Pairs, name: bytes) -> str | None:
    """The last value of a parameter: a provider appends its own after those of the customer's URL."""
    for given, value in reversed(parameters):
        if given == name:
            return value.decode("utf-8", "replace")
    return None
