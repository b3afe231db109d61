"""Phone numbers and addresses in a text, found by their form.

Everything by which a person can be reached is found, anywhere in a text. Ids, times, versions, hashes,
amounts and network addresses are not.

Digits are a number if they begin with `+` and are at least seven, if separators group at least seven of them,
or if 7 to 15 (the maximum of ITU-T E.164) stand alone. Every search is linear in the text: a run of digits is
matched as a whole and judged once (by atomic groups: in Python 3.11.2 a possessive quantifier overlooks a
lookahead in its group).
"""

from __future__ import annotations

import re
from collections.abc import Callable

FEWEST_DIGITS = 7
MOST_DIGITS = 15
_WHOLE = 10
_MOST_DIGITS_OF_A_CODE = 4

Show = Callable[[str], str]
"""Gives the replacement of a number, or of the user part of an address."""

HASH = re.compile(r"h:[0-9a-f]{16}")
_SCHEMES = frozenset(
    {"sip", "sips", "tel", "client", "sim", "whatsapp", "messenger", "conference", "queue", "app"}
)

_GAP = (
    r"(?:[ \t\u00a0\u00ad\u00b7\u2000-\u2015\u2022\u2027\u202a-\u202f\u2043\u2060-\u2069\u2212\u3000"
    r"\ufe58\ufe63\ufeff\uff0d._()\-]|%(?:25){0,4}(?:20|2[89DdEe]|C2%(?:25){0,4}A0)|&nbsp;)"
)
"""Blanks, dashes, dots, brackets and invisible characters, plain or escaped."""

_DATE = r"(?:19|20)\d\d(?P<d1>[\-./])(?:0[1-9]|1[0-2])(?P=d1)(?:[0-2]\d|3[01])(?!\d)"
_CLOCK = r"[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d{1,9})?)?(?:\s?[+-]\d\d:?\d\d(?!\d))?"

_ID_IN_PATH = r"(?<=/)[a-f]{2}[0-9a-f]{32}(?=/[a-z]|\.json\Z|\Z)"
"""An id of an account or a call in a URL. No digits in it are a number; judging each run of them is slow."""

_TOKENS = re.compile(
    rf"""
    (?= [\d+%\\a-fst] ) (?:
    {_ID_IN_PATH}
  | (?<![0-9a-z]) [0-9a-f]{{8}} (?:-[0-9a-f]{{4}}){{3}} -[0-9a-f]{{12}} (?![0-9a-z])
  | (?<!\d) (?: {_DATE} (?:{_CLOCK})? | \d\d(?P<d2>[\-./])\d\d(?P=d2)(?:19|20)\d\d(?!\d) )
  | (?<![\d.]) \d{{1,3}} (?:\.\d{{1,3}}){{3}} (?![\d.])
  | (?<![0-9a-z]) (?P<scheme> (?:sips?|tel|client) (?: : | %(?:25)*3a ) )
        (?P<user> (?> (?: [^\s<>"'`,;?&#@%(){{}}\[\]|\\] | %(?!(?:25)*40) )+ ) )
  | (?P<plus> (?: \+ | %(?:25)*2b | \\u002b ) {_GAP}{{0,2}} )?
        (?P<run> \d (?> (?: {_GAP}{{0,3}} (?!(?:19|20)\d\d-\d\d-\d\d) \d )* ) )
  | %[0-9a-f]{{2}}
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SEVEN_DIGITS = re.compile(r"(?:\d\D*+){7}")
_ID = re.compile(
    r"[A-Z]{0,2}[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64}"
)
"""Ids of providers, UUIDs and hashes: most of the other texts with digits."""

_ALPHANUMERIC = re.compile(r"[^\W_]")
_DIGITS = re.compile(r"\d+")
_GROUP = re.compile(r"\d++\D*+")
_ENCODED_AT = re.compile(r"@|%(?:25)*40")
_USER_END = re.compile(r":|%(?:25)*3a", re.IGNORECASE)
_EXTENSION = re.compile(r"\s?(?:x|ext)[. ]?\d", re.IGNORECASE)
_ESCAPE_BEFORE = re.compile(r"%[0-9a-f]{2}\Z|\\u[0-9a-f]{4}\Z|\\[abfnrtv]\Z", re.IGNORECASE)
_WORD_BEFORE = re.compile(r"(?:\A|[\W_])(?![a-f]+\Z)[^\W\d_]{1,16}\Z", re.IGNORECASE)
"""A word of letters (`tel`, `user`) that a number may follow. Hex digits are not words."""

_TYPICAL = re.compile(r"(?:1[ .\-])?\d{3}\)?[ .\-]{1,2}\d{3}[ .\-]\d{4}")
"""The usual spelling of North American numbers. Ids are not written so."""

_COMPACT_TIME = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[0-2]\d[0-5]\d[0-6]\d")
_MILLISECONDS = re.compile(r"1[5-9]\d{11}")
"""Milliseconds since 1970, in the years 2017 to 2033. No phone number of 13 digits begins so: +1 has 11."""

_YEARS = re.compile(r"(?:19|20)\d\d-(?:19|20)\d\d")


def masked_number(text: str) -> str:
    """A number or the user part of an address: its first three characters and its last two."""
    if HASH.fullmatch(text) or _ALPHANUMERIC.search(text) is None:
        return text
    if len(text) < 8:
        return text[:1] + "*" * (len(text) - 1)
    return text[:3] + "*" * (len(text) - 5) + text[-2:]


def shown_address(text: str, show: Show) -> str:
    """The value of an address field: a number, an address with a scheme, or a user name."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in _SCHEMES:
        if scheme.lower() in ("sip", "sips", "tel", "client"):
            return replaced(text, show)
        user, at, host = rest.partition("@")
        return f"{scheme}:{show(user)}{at}{replaced(host, show)}" if user else text
    return show(text)


def replaced(text: str, show: Show, *, bare: bool = True) -> str:
    """`text` with every number and address replaced by `show`.

    With `bare` False, digits without a `+` that are not grouped like a number are kept: their name says that
    they are an id, a time or an amount.
    """

    if ":" not in text and "%" not in text and (_SEVEN_DIGITS.search(text) is None or _ID.fullmatch(text)):
        return text

    def one(match: re.Match[str]) -> str:
        if match["scheme"]:
            followed = _ENCODED_AT.match(text, match.end()) is not None
            return match["scheme"] + user_shown(match["user"], show, followed)
        run = match["run"]
        if not run or len(run) < FEWEST_DIGITS:
            return match[0]
        if match["plus"]:
            return _international(match["plus"], run, show)
        return _national(text, match.start(), run, show) if bare or _TYPICAL.fullmatch(run) else run

    return _TOKENS.sub(one, text)


def user_shown(user: str, show: Show, has_host: bool) -> str:
    """The replacement of an address's user part. A password in it (RFC 3261 19.1.1) is dropped; only a user
    with a host has one.
    """
    if has_host and user[:2].lower() != "h:":
        user = _USER_END.split(user, 1)[0]
    return show(user)


def digits_of(text: str) -> str | None:
    """The digits of a text that is one number and nothing else, without international prefix; else None.

    `+1 (415) 555-0142`, `0014155550142` and `14155550142` are one number in three spellings.
    """
    match = _TOKENS.fullmatch(text.strip(" ()"))
    if match is None or not match["run"]:
        return None
    digits = "".join(_DIGITS.findall(_without_escapes(match["run"])))
    if not FEWEST_DIGITS <= len(digits) <= MOST_DIGITS + 2:
        return None
    return "".join(str(int(digit)) for digit in digits).removeprefix("00")


def _without_escapes(run: str) -> str:
    return re.sub(r"%(?:25)*[0-9A-Fa-f]{2}", " ", run) if "%" in run else run


def _is_escaped(run: str) -> bool:
    return "%" in run or "&" in run


def _shown(run: str, show: Show) -> str:
    """Masking would cut escapes in two, so a run with escapes is reduced to its digits first."""
    return show("".join(_DIGITS.findall(_without_escapes(run))) if _is_escaped(run) else run)


def _international(plus: str, run: str, show: Show) -> str:
    first, *others = _GROUP.findall(run)
    number = _DIGITS.findall(first)[0]
    if len(number) >= _WHOLE and len("".join(_DIGITS.findall("".join(others)))) <= _MOST_DIGITS_OF_A_CODE:
        # `+14155550142 (404)`: a complete number, and a code.
        return _with_sign(plus, show("+" + number)) + run[len(number) :]
    digits = "".join(_DIGITS.findall(_without_escapes(run)))
    if len(digits) < FEWEST_DIGITS:
        return plus + run
    if plus[0] == "+" and not _is_escaped(plus + run):
        return show(plus + run)
    return _with_sign(plus, show("+" + digits))


def _with_sign(plus: str, shown: str) -> str:
    """Keep the spelling of the plus sign: in a URL it is escaped."""
    return plus.rstrip() + shown[1:] if shown[:1] == "+" else shown


def _national(text: str, start: int, run: str, show: Show) -> str:
    """Digits without a `+`. A group next to a letter is part of a word, not of the number, unless it has ten
    or more digits and follows a word of letters.
    """
    groups = _GROUP.findall(run)
    head = tail = ""
    end = start + len(run)
    if _touches_before(text, start) and not _follows_word(text, start, groups[0]):
        head, groups = groups[0], groups[1:]
    if groups and end < len(text) and text[end].isalnum() and not _EXTENSION.match(text, end):
        tail, groups = groups[-1], groups[:-1]
    return head + "".join(_pieces(groups, show)) + tail


def _touches_before(text: str, start: int) -> bool:
    if start == 0 or not text[start - 1].isalnum():
        return False
    return _ESCAPE_BEFORE.search(text[max(0, start - 6) : start]) is None


def _follows_word(text: str, start: int, group: str) -> bool:
    if len(_DIGITS.findall(group)[0]) < _WHOLE:
        return False
    return _WORD_BEFORE.search(text[max(0, start - 17) : start]) is not None


def _pieces(groups: list[str], show: Show) -> list[str]:
    """The groups of a run, numbers replaced. A group of more than 15 digits is an id."""
    pieces: list[str] = []
    piece: list[str] = []
    for group in groups:
        if len(_DIGITS.match(group)[0]) > MOST_DIGITS:  # type: ignore[index]  # a group begins with digits
            pieces += _piece("".join(piece), show), group
            piece = []
        else:
            piece.append(group)
    pieces.append(_piece("".join(piece), show))
    return pieces


def _piece(piece: str, show: Show) -> str:
    run = piece
    while run and not run[-1].isdigit():
        run = run[:-1]
    return _shown(run, show) + piece[len(run) :] if _is_number(run) else piece


def _is_number(run: str) -> bool:
    plain = _without_escapes(run)
    groups = _DIGITS.findall(plain)
    count = sum(map(len, groups))
    if count < FEWEST_DIGITS:
        return False
    if len(groups) == 1:
        return _COMPACT_TIME.fullmatch(plain) is None and _MILLISECONDS.fullmatch(plain) is None
    if set(plain) - set("".join(groups)) == {"."}:
        # Two groups are a decimal number; a version has groups of one digit.
        first, *others = groups
        if others == ["0"]:
            # A number that a program has converted to a float.
            return len(first) >= _WHOLE
        return (
            len(others) > 1 and (first == "1" or len(first) > 1) and all(len(other) > 1 for other in others)
        )
    return _YEARS.fullmatch(plain) is None
