"""Telnyx' Ed25519 signature: a known vector, accepted and refused cases, and Telnyx' own library."""

from __future__ import annotations

import base64
import runpy
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.gateway.receive.request import RequestRefusedError
from stream.gateway.receive.telnyx_signature import public_key, verify
from tests.gateway.signing import NOW_S, OTHER_TELNYX_KEY, TELNYX_KEY, public, telnyx

BODY = b'{"data":{"event_type":"call.hangup","id":"e1"}}'
STAMP = "1767225600"
KEY, OTHER = public(TELNYX_KEY), public(OTHER_TELNYX_KEY)
DOCUMENTED_KEY = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="
DOCUMENTED_SIGNATURE = (
    "bV2RxCIAounUu6ADB22a6dQousbL7B41TSvqox0y8vx4iiJG4cdo7TXbzK8A+2aDEDp9EKLa5h898SY8aLQaDw=="
)

_LIBRARY = find_spec("telnyx")
assert _LIBRARY is not None
assert _LIBRARY.origin is not None
# From its file: its package imports the types of all resources, which takes seconds.
OFFICIAL = runpy.run_path(str(Path(_LIBRARY.origin).parent / "lib" / "webhook_verification.py"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """`signature` None: of `signed` (default the body) at `timestamp`. `agrees`: so says Telnyx' library."""

    body: bytes = BODY
    timestamp: str | None = STAMP
    signature: str | None = None
    signed: bytes | None = None
    keys: tuple[str, ...] = (KEY,)
    now_s: float = NOW_S
    tolerance_s: float = 300.0
    expected: tuple[int, float] | str = (0, 0.0)
    agrees: bool = True

    def sign(self) -> str:
        if self.signature is not None:
            return self.signature
        return telnyx(self.body if self.signed is None else self.signed, self.timestamp or "")

    def verify(self) -> tuple[int, float] | str:
        """What matched, or why it is refused."""
        try:
            return verify(
                [public_key(key) for key in self.keys],
                self.timestamp,
                self.sign(),
                self.body,
                now_s=self.now_s,
                tolerance_s=self.tolerance_s,
            )
        except RequestRefusedError as error:
            return error.reason


RAW = base64.b64decode(telnyx(BODY, STAMP))
CASES = {
    "the documented vector": Case(keys=(DOCUMENTED_KEY,), signature=DOCUMENTED_SIGNATURE),
    "a form": Case(body=b"CallSid=v3%3Aabc&CallStatus=ringing"),
    "a body that is not UTF-8": Case(body=b"\xff\x00\r\n", agrees=False),
    "the second of two keys": Case(keys=(OTHER, KEY), expected=(1, 0.0)),
    "the last second": Case(now_s=NOW_S + 300, expected=(0, 300.0)),
    "a clock that is behind": Case(now_s=NOW_S - 300, expected=(0, -300.0)),
    "an hour, where an hour is allowed": Case(
        now_s=NOW_S + 3600, tolerance_s=3600, expected=(0, 3600.0), agrees=False
    ),
    "a time stamp with zeros before it": Case(timestamp="01767225600"),
    "no signature": Case(signature="", expected="missing_signature"),
    "no time stamp": Case(timestamp=None, signature=DOCUMENTED_SIGNATURE, expected="missing_signature"),
    "an empty time stamp": Case(timestamp="", expected="missing_signature"),
    "a time stamp in words": Case(timestamp="now", expected="malformed"),
    "a time stamp with a sign": Case(timestamp="+1767225600", expected="malformed", agrees=False),
    "a time stamp with a fraction": Case(timestamp="1767225600.5", expected="malformed"),
    "a time stamp in other digits": Case(timestamp="١٧٦٧٢٢٥٦٠٠", expected="malformed", agrees=False),
    "a time stamp beyond all clocks": Case(timestamp="9" * 13, expected="malformed"),
    "a time stamp in milliseconds": Case(timestamp="176722560000", expected="stale_timestamp"),
    "no base64": Case(signature="!", expected="malformed"),
    "a short signature": Case(signature=base64.b64encode(RAW[:63]).decode(), expected="malformed"),
    "a long signature": Case(signature=base64.b64encode(RAW + b"x").decode(), expected="malformed"),
    "a signature in hex": Case(signature=RAW.hex(), expected="malformed"),
    "a signature with a line end": Case(
        signature=base64.b64encode(RAW).decode() + "\n", expected="malformed", agrees=False
    ),
    "a bit changed": Case(
        signature=base64.b64encode(bytes([RAW[0] ^ 1]) + RAW[1:]).decode(), expected="bad_signature"
    ),
    "zeros": Case(signature=base64.b64encode(bytes(64)).decode(), expected="bad_signature"),
    "another key": Case(keys=(OTHER,), expected="bad_signature"),
    "no keys": Case(keys=(), expected="bad_signature", agrees=False),
    "another body": Case(signed=BODY + b" ", expected="bad_signature"),
    "a body written again": Case(body=BODY.replace(b":", b": "), signed=BODY, expected="bad_signature"),
    "another time": Case(timestamp="1767225601", signature=telnyx(BODY, STAMP), expected="bad_signature"),
    "the body without the time": Case(
        signature=base64.b64encode(TELNYX_KEY.sign(BODY)).decode(), expected="bad_signature"
    ),
    "a dot and not a bar": Case(
        signature=base64.b64encode(TELNYX_KEY.sign(STAMP.encode() + b"." + BODY)).decode(),
        expected="bad_signature",
    ),
    "a digit moved from the time to the body": Case(
        body=b"0|x", signature=telnyx(b"x", "1767225600"), timestamp="1767225600", expected="bad_signature"
    ),
    "an empty body": Case(body=b"", expected="bad_signature", agrees=False),
    "one second too old": Case(now_s=NOW_S + 301, expected="stale_timestamp"),
    "one second too new": Case(now_s=NOW_S - 301, expected="stale_timestamp"),
    "a clock that is not a number": Case(now_s=float("nan"), expected="stale_timestamp", agrees=False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_signature_is_accepted_or_refused_as_the_table_says(name: str) -> None:
    """Case 44."""
    case = CASES[name]
    assert case.verify() == case.expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.agrees])
def test_telnyxs_own_library_says_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    monkeypatch.setattr(time, "time", lambda: case.now_s)
    headers = {"Telnyx-Signature-Ed25519": case.sign()}
    if case.timestamp is not None:
        headers["Telnyx-Timestamp"] = case.timestamp
    assert any(officially(case.body, headers, key) for key in case.keys) == isinstance(case.expected, tuple)


def officially(body: bytes, headers: dict[str, str], key: str) -> bool:
    try:
        OFFICIAL["verify_webhook_signature"](body, headers, key)
    except OFFICIAL["WebhookVerificationError"]:
        return False
    return True


@settings(deadline=None, max_examples=40)
@given(st.binary(min_size=1, max_size=80), st.binary(min_size=1, max_size=80))
def test_a_signature_fits_its_own_body_and_no_other(body: bytes, other: bytes) -> None:
    found = Case(body=body, signed=other).verify()
    assert isinstance(found, tuple) == (body == other)


def test_a_key_is_read_as_telnyx_shows_it_and_as_a_pem_file_has_it_inside() -> None:
    raw = base64.b64decode(KEY)
    inside = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + raw).decode()
    assert public_key(KEY).public_bytes_raw() == public_key(inside).public_bytes_raw() == raw


@pytest.mark.parametrize("text", ["", "abc", "!!!!", base64.b64encode(bytes(31)).decode(), KEY + KEY])
def test_what_is_not_a_key_is_an_error_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        public_key(text)
    assert not text or text not in str(refused.value)
