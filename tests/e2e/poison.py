"""Records that no decoder can read, one way after the other, each with the reason that it must be kept for.

The rule of this file: whatever is wrong here is wrong in one way only; the rest is a good delivery's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from tests.e2e.harness import ToSend

MEGABYTE = 1_000_000
STRANGER = b"twilio:CA00000000000000000000000000000000"


def mixed(good: Sequence[ToSend]) -> tuple[list[ToSend], dict[int, str]]:
    """`good`, and after each second one a bad one; the bad ones' reasons by their place."""
    records: list[ToSend] = []
    reasons: dict[int, str] = {}
    ways = cycle(range(len(list(_bad(good[0])))))
    for at, record in enumerate(good):
        records.append(record)
        if at % 2:
            bad, reason = list(_bad(record))[next(ways)]
            reasons[len(records)] = reason
            records.append(bad)
    return records, reasons


def _bad(good: ToSend) -> Iterator[tuple[ToSend, str]]:
    """Every way in which a good record can be bad."""
    value = good.value or b""

    def put(name: str, changed: Any, **others: Any) -> ToSend:
        return good._replace(value=orjson.dumps({**orjson.loads(value), name: changed, **others}))

    def without(name: str) -> ToSend:
        envelope = orjson.loads(value)
        del envelope[name]
        return good._replace(value=orjson.dumps(envelope))

    yield good._replace(value=None), "not_an_object"
    yield good._replace(value=b""), "not_json"
    yield good._replace(value=value[: len(value) // 2]), "not_json"
    yield good._replace(value=b"\xff\xfe" + value), "not_json"
    yield good._replace(value=value.replace(b'"body"', b'"b\xffdy"')), "not_json"
    yield good._replace(value=b"null"), "not_an_object"
    yield good._replace(value=b"[" + value + b"]"), "not_an_object"
    yield good._replace(value=b'"a text"'), "not_an_object"
    yield good._replace(value=b"{}"), "unsupported_version"
    yield put("v", 2), "unsupported_version"
    yield put("v", "1"), "unsupported_version"
    yield put("source", None), "invalid_field"
    yield put("source", "carrier_pigeon"), "unknown_source"
    yield put("received_at", "yesterday"), "invalid_field"
    yield put("received_at", 1_790_000_000), "invalid_field"
    yield put("account", 7), "invalid_field"
    yield put("ordinal", -1), "invalid_field"
    yield put("body", [1, 2, 3]), "invalid_field"
    yield put("body", None), "invalid_field"
    yield without("body"), "invalid_field"
    yield put("body", {}, endpoint=None), "missing_id"
    yield good._replace(key=None), "key_mismatch"
    yield good._replace(key=STRANGER), "key_mismatch"
    yield good._replace(key=(good.key or b"") + b"\xff"), "key_mismatch"
    yield put("body", {"padding": "x" * MEGABYTE}), "too_large"
    yield good._replace(value=b'{"v":1,"body":' + b"[" * 5000 + b"]" * 5000 + b"}"), "too_deep"
