"""The parameters that Twilio may have signed, where a proxy or a framework changed them.

Each choice is the bytes that follow the URL in the signed message. A body that is not a form is signed by the
URL alone, through its hash.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream.gateway.diagnose.diagnosis import Change, Choice
from stream.gateway.receive.request import Pairs, ParsedRequest, RequestRefusedError, pairs, wire_bytes
from stream.gateway.receive.twilio_signature import signed_tail

SINGLED_OUT_LIMIT = 60
SINGLED_OUT_LIMIT_BYTES = 16_384
"""A form beyond this is not tried with each of its parameters changed: Twilio's have two thousand bytes and
forty parameters."""

BODY_MEND = "let the proxy pass the body unchanged"
_TYPE_MEND = "let the proxy pass the Content-Type unchanged"


def bodies(parsed: ParsedRequest) -> list[Choice]:
    """The choices, the gateway's own first."""
    request = parsed.request
    sent = parsed.content.parameters if parsed.is_form else None
    if sent is None:
        sent = lenient_pairs(request.body)
        choices = [Choice(b"")]
        if sent and not request.body.lstrip().startswith((b"{", b"[")):
            choices.append(Choice(signed_tail(sent), Change("the body is signed as a form", _TYPE_MEND)))
        if request.method == "GET" and parsed.query:
            says = "the query's parameters are signed as those of a POST"
            mend = "let no redirect turn the POST into a GET"
            choices.append(Choice(signed_tail(parsed.content.parameters or []), Change(says, mend)))
        return choices
    as_json = Change("the body is signed as JSON is, by the URL alone", _TYPE_MEND)
    choices = [Choice(signed_tail(sent)), Choice(b"", as_json)]
    choices += [
        Choice(tail, Change(says, BODY_MEND)) for says, tail in _other_tails(request.body, parsed.query, sent)
    ]
    return choices


def _other_tails(body: bytes, query: str | None, sent: Pairs) -> Iterator[tuple[str, bytes]]:
    yield "values have no blanks at their ends", signed_tail([(n, v.strip()) for n, v in sent])
    yield "empty parameters are left out", signed_tail([(n, v) for n, v in sent if v])
    yield "of a repeated parameter only the last value is signed", signed_tail(list(dict(sent).items()))
    yield (
        "of a repeated parameter only the first value is signed",
        signed_tail(list(dict(reversed(sent)).items())),
    )
    yield "a value that was sent twice is signed twice", b"".join(n + v for n, v in sorted(sent))
    yield "parameters are signed in the order of the body", b"".join(n + v for n, v in sent)
    raw = [part.partition(b"=") for part in body.split(b"&")]
    yield "parameters are signed as they are encoded", signed_tail([(n, v) for n, _, v in raw])
    plus = [part.partition(b"=") for part in body.replace(b"+", b"%2B").split(b"&")]
    decoded = lenient_pairs(b"&".join(n + b"=" + v for n, _, v in plus))
    yield "a plus sign in the body is one and not a blank", signed_tail(decoded)
    yield "texts are UTF-8", signed_tail([(_utf8(n), _utf8(v)) for n, v in sent])
    yield (
        "line ends are those of Windows",
        signed_tail([(n, v.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) for n, v in sent]),
    )
    yield "line ends are those of Unix", signed_tail([(n, v.replace(b"\r\n", b"\n")) for n, v in sent])
    if query:
        both = [*sent, *lenient_pairs(wire_bytes(query))]
        yield "the query's parameters are signed with those of the body", signed_tail(both)
    if len(body) > SINGLED_OUT_LIMIT_BYTES:
        return
    for at in range(min(len(sent), SINGLED_OUT_LIMIT)):
        others = sent[:at] + sent[at + 1 :]
        yield "a parameter that was added to the body is left out", signed_tail(others)
        name, value = sent[at]
        trimmed = "a blank at the end of a value is kept"
        yield trimmed, signed_tail([*others, (name, value + b" ")])
        yield trimmed, signed_tail([*others, (name, value + b"\n")])
        yield trimmed, signed_tail([*others, (name, b" " + value)])


def _utf8(raw: bytes) -> bytes:
    """Text that was read as Latin-1 on its way, as UTF-8 again."""
    try:
        return raw.decode().encode("latin-1").decode().encode()
    except UnicodeError:
        return raw.decode("latin-1").encode()


def lenient_pairs(raw: bytes) -> Pairs:
    """The parameters; none where there are too many."""
    try:
        return pairs(raw)
    except RequestRefusedError:
        return []
