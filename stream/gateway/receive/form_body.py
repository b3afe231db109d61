"""A form body or a query: from its bytes to parameters, and from parameters to the envelope's object.

The rule of this file: parameters stay bytes until a signature has been checked over them. Only then are they
made texts, and a parameter that was sent several times becomes a list in its order.
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
    for part in raw.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            found.append((_decoded(name), _decoded(value)))
    return found


_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def _decoded(raw: bytes) -> bytes:
    """As `urllib.parse.unquote_to_bytes`, and several times faster where all of a large value is escaped.

    Quoted-printable is the same but for its sign, and the standard library decodes it in C.
    """
    raw = raw.replace(b"+", b" ")
    if b"%" not in raw:
        return raw
    escaped = _LONE_PERCENT.sub(b"%25", raw).replace(b"=", b"%3D")
    return binascii.a2b_qp(escaped.replace(b"%", b"="))


def as_object(parameters: Pairs) -> tuple[Body, bool]:
    """(the object of a raw envelope, whether all of it is UTF-8).

    What is not UTF-8 has U+FFFD in its place: the caller keeps the original beside it.
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
    """The last value of a parameter: a provider appends its own to those of the customer's URL."""
    for given, value in reversed(parameters):
        if given == name:
            return value.decode("utf-8", "replace")
    return None
