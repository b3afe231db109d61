"""Records that no decoder can read, each with its dead-letter reason.

Each is wrong in one way only; everything else in it is from a good delivery.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from tests.e2e.harness import RecordToSend

MEGABYTE = 1_000_000
OTHER_CALL = b"twilio:CA00000000000000000000000000000000"


def mixed_with_malformed(good: Sequence[RecordToSend]) -> tuple[list[RecordToSend], dict[int, str]]:
    """`good` with a bad record after every second one, and the reasons of the bad ones by index."""
    records: list[RecordToSend] = []
    reasons: dict[int, str] = {}
    ways = cycle(range(len(list(_bad(good[0])))))
    for at, record in enumerate(good):
        records.append(record)
        if at % 2:
            bad, reason = list(_bad(record))[next(ways)]
            reasons[len(records)] = reason
            records.append(bad)
    return records, reasons


def _bad(good: RecordToSend) -> Iterator[tuple[RecordToSend, str]]:
    """Yields every way in which a good record can be malformed."""
    value = good.value or b""

    def put(name: str, changed: Any, **others: Any) -> RecordToSend:
        return good._replace(value=orjson.dumps({**orjson.loads(value), name: changed, **others}))

    def without(name: str) -> RecordToSend:
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
    yield good._replace(key=OTHER_CALL), "key_mismatch"
    yield good._replace(key=(good.key or b"") + b"\xff"), "key_mismatch"
    yield put("body", {"padding": "x" * MEGABYTE}), "too_large"
    yield good._replace(value=b'{"v":1,"body":' + b"[" * 5000 + b"]" * 5000 + b"}"), "too_deep"
