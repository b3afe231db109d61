"""Requests signed as Twilio does, and whether each is accepted."""

from __future__ import annotations

from dataclasses import dataclass

from stream.gateway.receive.request import RequestRefusedError
from stream.gateway.receive.twilio_signature import (
    verify,
)
from tests.gateway.signing import TOKEN, Parameters, body_hash, twilio

URL = "https://hooks.example.test/tw/status?tenant=7"
PLAIN = "http://hooks.example.test:8080/tw/status?tenant=7"
CALL: Parameters = [
    ("CallSid", "CA" + "0" * 32),
    ("CallStatus", "completed"),
    ("SequenceNumber", "3"),
    ("To", "client:zoë"),
    ("Empty", ""),
]
JSON = b'{"CallSid":"CA1","n":1}'
HASHED = f"https://hooks.example.test/es?bodySHA256={body_hash(JSON)}"
PUBLISHED_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PUBLISHED_BODY = b'{"property": "value", "boolean": true}'
GET = "https://hooks.example.test/tw/status?CallSid=CA1&CallStatus=ringing&To=%2B15005550006"


def published(caller: str, to: str = "+18005551212") -> Parameters:
    """The parameters of the example in Twilio's documentation and of the tests of its libraries."""
    return [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", caller),
        ("Digits", "1234"),
        ("From", caller),
        ("To", to),
    ]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`signature` None: as for `signed_url` (default `url`) and `signed` (default `parameters`) by `token`.

    `agrees`: whether Twilio's library says the same, which it does not of URLs with user info or fragment, of
    bodies without a hash, and of some bytes.
    """

    url: str = URL
    parameters: Parameters | None = None
    body: bytes = b""
    signature: str | None = None
    signed_url: str | None = None
    signed: Parameters | None = None
    token: str = TOKEN
    keys: tuple[str, ...] = (TOKEN,)
    algorithm: str = "HMAC_SHA1"
    expected: tuple[int, str] | str = (0, "as_sent")
    agrees: bool = True

    def sign(self) -> str:
        if self.signature is not None:
            return self.signature
        signed = self.parameters if self.signed is None else self.signed
        digest = "sha256" if self.algorithm == "HMAC_SHA256" else "sha1"
        return twilio(self.signed_url or self.url, signed or [], self.token, digest)

    def verify(self) -> tuple[int, str] | str:
        """What matched, or why it is refused."""
        encoded = None
        if self.parameters is not None:
            encoded = [(name.encode(), value.encode()) for name, value in self.parameters]
        try:
            return verify(
                self.keys,
                self.url,
                self.sign(),
                parameters=encoded,
                body=self.body,
                algorithm=self.algorithm,
            )
        except RequestRefusedError as error:
            return error.reason


HASH = body_hash(PUBLISHED_BODY)
DOCUMENTED = {
    "the example of Twilio's libraries": Case(
        url=PUBLISHED_URL, parameters=published("+14158675309"), signature="RSOYDt4T1cUTdK1PDd93/VVr8B8="
    ),
    "the example of Twilio's documentation": Case(
        url=PUBLISHED_URL, parameters=published("+12349013030"), signature="0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    ),
    "repeated parameters, of Twilio's libraries": Case(
        url=PUBLISHED_URL,
        parameters=[
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ],
        signature="IK+Dwps556ElfBT0I3Rgjkr1wJU=",
    ),
    "a name that begins another, of Twilio's libraries": Case(
        url=PUBLISHED_URL,
        parameters=[
            *published("+14158675309"),
            ("ReasonConferenceEnded", "test"),
            ("Reason", "Participant"),
        ],
        signature="vOEb5UThFn24KEfnOFLQY2AE5FY=",
    ),
    "JSON, of Twilio's libraries": Case(
        url=f"{PUBLISHED_URL}&bodySHA256={HASH}",
        body=PUBLISHED_BODY,
        signature="a9nBmqA0ju/hNViExpshrM61xv4=",
    ),
    "JSON, of Twilio's documentation": Case(
        url=f"https://example.com/myapp?bodySHA256={HASH}",
        body=PUBLISHED_BODY,
        signature="Klp85180pYIxzIO5cuyxpfh1BKw=",
    ),
    "a form over https": Case(parameters=CALL, signature="dXaevLNRmqlhON2z34JHqKJkfo0="),
    "a voice callback to another port is signed without it": Case(
        url=URL.replace(".test/", ".test:8443/"),
        parameters=CALL,
        signature="dXaevLNRmqlhON2z34JHqKJkfo0=",
        expected=(0, "without"),
    ),
    "a form over http with its port": Case(
        url=PLAIN, parameters=CALL, signature="nbizy2xjXxSetBaSnGpvSP1rhbA="
    ),
    "a GET": Case(url=GET, signature="AxLVBHJ8A5aR+lUFpub0WGxFgrI="),
    "a repeated parameter": Case(
        parameters=[("E", "ringing"), ("E", "answered"), ("E", "ringing")],
        signature="86uZW+pjHUmuvXd4x9Hke+xBETI=",
    ),
    "JSON by its hash": Case(url=HASHED, body=JSON, signature="p4wJXIt3HdA8UTV1ZkAqzMQ3rGQ="),
}

ACCEPTED = {
    "SMS over https is signed with the port": Case(url=URL.replace(".test/", ".test:8443/"), parameters=CALL),
    "the default port was signed and is not in the URL": Case(
        parameters=CALL, signed_url=URL.replace(".test/", ".test:443/"), expected=(0, "default")
    ),
    "the default port of http was signed and is not in the URL": Case(
        url="http://hooks.example.test/x",
        parameters=CALL,
        signed_url="http://hooks.example.test:80/x",
        expected=(0, "default"),
    ),
    "http without its port": Case(
        url=PLAIN, parameters=CALL, signed_url=PLAIN.replace(":8080", ""), expected=(0, "without")
    ),
    "an IPv6 host with a port": Case(
        url="https://[2001:db8::1]:8443/x",
        parameters=CALL,
        signed_url="https://[2001:db8::1]/x",
        expected=(0, "without"),
        agrees=False,
    ),
    "user and password are not signed": Case(
        url=URL.replace("://", "://user:p%40ss@"), signed_url=URL, parameters=CALL, agrees=False
    ),
    "a fragment is not signed": Case(url=URL + "#rc=3&rp=all", signed_url=URL, parameters=CALL, agrees=False),
    "the order of the query stays": Case(url="https://h.test/?b=2&a=1&b=1", parameters=CALL),
    "the encoding of the query stays": Case(url="https://h.test/p%2Fq?x=%7e&y=a+b&z=%C3%AB", parameters=CALL),
    "the encoding of the query stays in lower case": Case(url="https://h.test/?z=%c3%ab", parameters=CALL),
    "a question mark without a query": Case(url="https://h.test/x?", parameters=CALL, agrees=False),
    "a query with a question mark and a slash": Case(url="https://h.test?next=/a?b", parameters=CALL),
    "a URL without a path": Case(url="https://h.test", parameters=CALL),
    "a trailing slash": Case(url="https://h.test/x/", parameters=CALL),
    "capital letters in the host": Case(url="https://Hooks.Example.test/x", parameters=CALL),
    "no parameters at all": Case(parameters=[]),
    "an empty POST that is not a form": Case(),
    "only empty values": Case(parameters=[("A", ""), ("B", "")]),
    "blanks at both ends of a value": Case(parameters=[("SpeechResult", "  yes \n"), ("CallSid", "CA1")]),
    "capitals sort before small letters": Case(parameters=[("a", "1"), ("B", "2"), ("A", "3"), ("b", "4")]),
    "names beyond ASCII": Case(parameters=[("ë", "1"), ("z", "2"), ("𝄞", "3"), ("\uffff", "4")]),
    "an emoji and a NUL": Case(parameters=[("FriendlyName", "☎️ 𝄞\x00")]),
    "a value that looks like the next name": Case(parameters=[("A", "B1"), ("AB", "2")]),
    "thirty parameters": Case(parameters=[(f"P{at}", str(at)) for at in range(30)]),
    "parameters in another order than signed": Case(parameters=CALL, signed=CALL[::-1]),
    "the new token while rotating": Case(parameters=CALL, keys=("new", TOKEN), token="new"),
    "the old token while rotating": Case(parameters=CALL, keys=("new", TOKEN), expected=(1, "as_sent")),
    "the third of three tokens, without the port": Case(
        url=PLAIN,
        signed_url=PLAIN.replace(":8080", ""),
        parameters=CALL,
        keys=("a", "b", "c"),
        token="c",
        expected=(2, "without"),
    ),
    "a shared key with SHA-256": Case(parameters=CALL, algorithm="HMAC_SHA256", keys=("s",), token="s"),
    "JSON with a query of the customer's before the hash": Case(
        url=f"https://h.test/es?tenant=7&bodySHA256={body_hash(JSON)}", body=JSON
    ),
    "JSON with blanks that its writer would not put": Case(
        url=f"https://h.test/es?bodySHA256={body_hash(b'[ 1 ]')}", body=b"[ 1 ]"
    ),
    "a hash in capitals": Case(
        url=f"https://h.test/es?bodySHA256={body_hash(JSON).upper()}", body=JSON, agrees=False
    ),
    "a body that is not UTF-8": Case(
        url=f"https://h.test/es?bodySHA256={body_hash(bytes([0xFF]))}", body=b"\xff", agrees=False
    ),
}

REFUSED = {
    "no signature": Case(parameters=CALL, signature="", expected="missing_signature"),
    "a signature that is not base64": Case(parameters=CALL, signature="FAIL!", expected="malformed"),
    "a signature beyond ASCII": Case(parameters=CALL, signature="ë=", expected="malformed"),
    "a short signature": Case(parameters=CALL, signature="FAIL", expected="bad_signature"),
    "two signatures": Case(
        parameters=CALL, signature=", ".join(2 * [twilio(URL, CALL)]), expected="malformed"
    ),
    "another token": Case(parameters=CALL, token="54321", expected="bad_signature"),
    "no tokens": Case(parameters=CALL, keys=(), expected="bad_signature", agrees=False),
    "another scheme": Case(
        parameters=CALL, signed_url=URL.replace("https", "http"), expected="bad_signature"
    ),
    "another host": Case(
        parameters=CALL, signed_url=URL.replace("hooks", "internal"), expected="bad_signature"
    ),
    "another port": Case(
        url=PLAIN, parameters=CALL, signed_url=PLAIN.replace("8080", "8081"), expected="bad_signature"
    ),
    "another path": Case(
        parameters=CALL, signed_url=URL.replace("status", "recording"), expected="bad_signature"
    ),
    "a slash too much": Case(
        parameters=CALL, signed_url=URL.replace("status?", "status/?"), expected="bad_signature"
    ),
    "the query in another order": Case(
        url="https://h.test/?a=1&b=2",
        signed_url="https://h.test/?b=2&a=1",
        parameters=CALL,
        expected="bad_signature",
    ),
    "the query in another encoding": Case(
        url="https://h.test/?a=+",
        signed_url="https://h.test/?a=%20",
        parameters=CALL,
        expected="bad_signature",
    ),
    "the query missing": Case(
        url=URL.partition("?")[0], signed_url=URL, parameters=CALL, expected="bad_signature"
    ),
    "a parameter more": Case(
        parameters=[*CALL, ("X", "")], signed=CALL, expected="bad_signature", agrees=True
    ),
    "a parameter less": Case(parameters=CALL[1:], signed=CALL, expected="bad_signature"),
    "an empty value dropped": Case(parameters=CALL[:-1], signed=CALL, expected="bad_signature"),
    "another value": Case(
        parameters=[*CALL[:1], ("CallStatus", "busy"), *CALL[2:]], signed=CALL, expected="bad_signature"
    ),
    "a value trimmed": Case(parameters=[("S", "yes")], signed=[("S", "yes ")], expected="bad_signature"),
    "names told apart only by their case": Case(
        parameters=[("callsid", "CA1")], signed=[("CallSid", "CA1")], expected="bad_signature"
    ),
    "a repeated parameter with one of its values": Case(
        parameters=[("E", "a")], signed=[("E", "a"), ("E", "b")], expected="bad_signature"
    ),
    "a GET with a parameter changed": Case(
        url=GET.replace("ringing", "failed"), signed_url=GET, expected="bad_signature"
    ),
    "JSON changed": Case(url=HASHED, body=JSON + b" ", expected="bad_signature"),
    "JSON with another's hash signed": Case(
        url=HASHED.replace("=3", "=4"), body=JSON, expected="bad_signature"
    ),
    "JSON whose URL was not signed": Case(
        url=HASHED, body=JSON, signed_url="https://hooks.example.test/es", expected="bad_signature"
    ),
    "a body without a hash that covers it": Case(url=URL, body=JSON, expected="bad_signature", agrees=False),
    "a GET with a body that nobody signed": Case(
        url=GET, body=b"x=1", expected="bad_signature", agrees=False
    ),
    "SHA-1 where the header says SHA-256": Case(
        parameters=CALL, algorithm="HMAC_SHA256", signature=twilio(URL, CALL), expected="bad_signature"
    ),
    "an algorithm that nobody knows": Case(parameters=CALL, algorithm="NONE", expected="bad_signature"),
}

ALL = {**DOCUMENTED, **ACCEPTED, **REFUSED}
