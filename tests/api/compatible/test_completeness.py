"""What the header says of rows whose sources have not all told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.api.compatible.completeness import of_call, of_list
from stream.archive.questions import StoredCall

_UNKNOWN = """
    account account_alias parent_call_id session_id direction from_ to status outcome fault confidence
    sip_response_code ended_at duration_s complete
"""
CALL = StoredCall(
    **dict.fromkeys(_UNKNOWN.split()),
    key="twilio:CA1",
    provider="twilio",
    call_id="CA1",
    error_codes=[],
    started_at="2026-03-02T10:00:00.000000Z",
    settled=False,
    revision=1,
    updated_at="2026-03-02T10:01:00.000000Z",
)


def a_call(expected: list[str], seen: list[str], *, complete: bool, settled: bool = False) -> StoredCall:
    record: dict[str, Any] = {"completeness": {"expected": expected, "seen": seen}}
    return msgspec.structs.replace(CALL, complete=complete, settled=settled, record=record)


@pytest.mark.parametrize(
    ("call", "cut", "said"),
    [
        (CALL, False, "partial;ended=?0"),
        (a_call(["b", "a"], ["a", "b", "c"], complete=True), False, "complete"),
        (a_call(["b", "a", "c"], ["a"], complete=False), False, 'partial;missing="b c"'),
        (a_call(["a"], [], complete=False, settled=True), False, 'partial;missing="a";settled'),
        (a_call(["a"], ["a"], complete=False), False, "partial;gaps"),
        (a_call(["a"], ["a"], complete=True, settled=True), True, "partial;cut"),
    ],
)
def test_what_a_call_lacks_is_told(call: StoredCall, cut: bool, said: str) -> None:
    assert of_call(call, cut=cut) == said


def test_of_a_list_it_is_told_how_many_lack_something() -> None:
    assert of_list(0) == "complete"
    assert of_list(3) == "partial;calls=3"
    assert of_list(3, cut=True) == "partial;calls=3;cut"
    assert of_list(0, cut=True) == "partial;cut"
