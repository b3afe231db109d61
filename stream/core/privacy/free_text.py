"""Secrets, URLs and names of people in a text.

A secret has no recognisable form, so it is found by the name in front of it. Every search is linear in the
text: each word is tried once, and the patterns do not backtrack.
"""

from __future__ import annotations

import re

import msgspec

from stream.core.privacy.sensitive_names import is_secret

REDACTED = "***"

_START = r"(?<![\w.])(?<!\w-)"
_ESCAPED_START = rf"(?:{_START}|(?<=%26|%3F)|(?<=2526|253F))"
"""Where a name starts; in an escaped query it also follows an escaped `&` or `?`."""

_NAMED = r"""
    (?:
    (?P<header> authorization | proxy-authorization | cookie | set-cookie ) [ \t]* : (?! [ \t]* ["'] )
  | (?<=<) (?P<tag> [A-Z] [\w.\-]{0,127}+ ) (?= (?: \s [^<>]{0,255}+ )? > (?! </ ) )
  | (?P<name> [A-Z] [\w.\-]{0,127}+ ) \s{0,4} \\* ["']? \s{0,4} (?: => | [:=] | %(?:25){0,4}3[AD] ) \s{0,4}
    )
    """
_NAME = re.compile(_START + _NAMED, re.VERBOSE | re.IGNORECASE)
_ESCAPED_NAME = re.compile(_ESCAPED_START + _NAMED, re.VERBOSE | re.IGNORECASE)
_VALUE = re.compile(
    r"""
    (?P<quote> \\* ["'] ) (?> (?: (?! (?P=quote) ) [^\r\n] )* ) (?P=quote)?
  | [\d#*] (?: [ ]? [\d#*wp] )*+ (?! [\w.] )
  | [^\s&"'<>,;)}\]\\]++
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ELEMENT = re.compile(r"([^>]*>)[^<]*")
_LINE = re.compile(r"[^\r\n]*")
_TOKEN = re.compile(
    r"(?<![\w\-])eyJ[\w\-]{8,}+\.[\w\-]*+(?:\.[\w\-]*+)?"
    r"|(?<![A-Za-z])(?i:bearer|basic)\s{1,4}(?=\S{0,4096}[0-9=])[A-Za-z0-9._~+/=\-]{8,}+",
)
_CREDENTIAL = re.compile(r"bearer|basic", re.IGNORECASE)
_USER_INFO = re.compile(
    r"(?<=://)[^/?#\s\"'<>\\]*@|(?<=%3[Aa]%2[Ff]%2[Ff])(?:(?!%2[Ff]|%40)[^\s&\"'<>])*+%40"
)
_QUERY = re.compile(
    r"(?<![a-z0-9+.\-])([a-z][a-z0-9+.\-]{0,31}://[^\s\"'<>?#]*+)(?:[?#][^\s\"'<>]*+)?", re.IGNORECASE
)
_SIP_HEADERS = re.compile(r"(?<![a-z0-9+.\-])(sips?:[^\s\"'<>?]*+)(?:\?[^\s\"'<>]*+)?", re.IGNORECASE)
_ADDRESS_IN_BRACKETS = re.compile(r"\s{0,4}<(?:sips?|tel):", re.IGNORECASE)
_BEFORE_A_NAME = "\"',:;=<>()\r\n"
_LONGEST_PERSON = 128

_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.\-]{0,31}:)?(?P<host>//[^/?#]*)?(?P<path>[^?#]*)", re.DOTALL)
_FORM = re.compile(r"[\w.\-\[\]%+]{1,128}=[^\s&]*+(?:&[\w.\-\[\]%+]{1,128}=[^\s&]*+)*+&?")

COMMON = re.compile(
    r"""
    20\d\d - (?:0[1-9]|1[0-2]) - (?:[0-2]\d|3[01]) T [0-2]\d : [0-5]\d : [0-5]\d (?:\.\d{1,9})? Z
  | [A-Z][a-z]{2}, [ ] \d\d [ ] [A-Z][a-z]{2} [ ] 20\d\d [ ] [0-2]\d : [0-5]\d : [0-5]\d [ ] \+0000
  | (?:/2010-04-01 | https://insights\.twilio\.com/v2 )
    (?: / (?: [A-Z][A-Za-z]{2,24} | [A-F]{2}[0-9a-f]{32} ) )+ (?:\.json)?
    """,
    re.VERBOSE,
)
"""Times and paths in most rows of REST resources. None has anything to mask, and few occur twice."""


def without_secrets(text: str) -> str:
    """`text` without the values after names of secrets, bearer tokens, and user info of URLs."""
    if ":" in text or "=" in text or "%" in text or "</" in text:
        text = _USER_INFO.sub("", text)
        text = _without_values(text)
    if "eyJ" in text or (" " in text and _CREDENTIAL.search(text) is not None):
        text = _TOKEN.sub(_token, text)
    return text


def _without_values(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for match in (_ESCAPED_NAME if "%" in text else _NAME).finditer(text):
        end = match.end()
        if end < done:
            continue
        if match["header"]:
            pieces += text[done:end], " ", REDACTED
            done = _LINE.match(text, end).end()  # type: ignore[union-attr]  # it matches everywhere
        elif match["tag"]:
            if is_secret(match["tag"]):
                element = _ELEMENT.match(text, end)
                assert element is not None
                pieces += text[done : element.end(1)], REDACTED
                done = element.end()
        elif is_secret(match["name"]) and (value := _VALUE.match(text, end)) is not None:
            quote = value["quote"] or ""
            pieces += text[done:end], quote, REDACTED, quote
            done = value.end()
    return "".join(pieces) + text[done:]


def _token(match: re.Match[str]) -> str:
    scheme, _, credential = match[0].partition(" ")
    return f"{scheme} {REDACTED}" if credential else REDACTED


def without_queries(text: str) -> str:
    """`text` without the queries and fragments of the URLs in it, and the headers of SIP addresses, which are
    written alike (RFC 3261 19.1.1).
    """
    if "?" in text:
        text = _SIP_HEADERS.sub(r"\1", text)
    return _QUERY.sub(r"\1", text) if "://" in text else text


def without_persons(text: str) -> str:
    """`text` without the names before addresses in brackets (`"Jane Roe" <sip:…>`, RFC 3261 20.10)."""
    if "<" not in text:
        return text
    pieces: list[str] = []
    done = 0
    for match in _ADDRESS_IN_BRACKETS.finditer(text):
        start = _start_of_person(text, done, match.start())
        if start < match.start():
            pieces += text[done:start], REDACTED
            done = match.start()
    return "".join(pieces) + text[done:]


def _start_of_person(text: str, least: int, end: int) -> int:
    if text.endswith(REDACTED, least, end):
        return end
    least = max(least, end - _LONGEST_PERSON)
    if text[end - 1 : end] == '"':
        opened = text.rfind('"', least, end - 1)
        return opened if opened >= 0 else least
    if text[end - 1 : end] in _BEFORE_A_NAME:
        return end
    start = 1 + max(text.rfind(stop, least, end) for stop in _BEFORE_A_NAME)
    before = text[max(start, least) : end]
    return end - len(before.lstrip())


def bare_url(url: str) -> str:
    """A URL without user info, query and fragment. A text that is not a URL is redacted."""
    match = _URL.match(url)
    scheme, host, path = (match[name] or "" for name in ("scheme", "host", "path")) if match else ("", "", "")
    if ("[" in host) != ("]" in host):
        return REDACTED
    if host:
        host = "//" + host[2:].rpartition("@")[2]
    if scheme.lower() in ("", "http:", "https:", "ws:", "wss:"):
        path = _without_user(path)
    return scheme + host + path


def _without_user(path: str) -> str:
    """Drop user info that is not preceded by two slashes (`https:/user:password@host`)."""
    head, slash, rest = path.lstrip("/").partition("/")
    user, at, host = head.rpartition("@")
    return path if not at or ":" not in user else host + slash + rest


def is_form(text: str) -> bool:
    """Whether a text is a query string or a form's body."""
    return "=" in text and _FORM.fullmatch(text) is not None


def is_structured(text: str) -> bool:
    """Whether the values in a text have names: it is a form or a JSON object."""
    return is_form(text) or isinstance(json_in(text), dict)


def json_in(text: str) -> dict[str, object] | list[object] | None:
    """The object or list that a text is the JSON of, else None."""
    if text[:1] not in "{[" and text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return found if type(found) in (dict, list) else None
