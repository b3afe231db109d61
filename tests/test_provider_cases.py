"""The habits of the providers that a processor must get right, by number, and that each has its tests.

A test is of a case if its name begins with `test_case_N_` or its docstring with `Case N` or `Cases N, M`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

CASES: dict[int, str] = {
    1: "The same number and status twice is one event.",
    2: "Another idempotency token, or a time one second off, is still the same event.",
    3: "One token on two calls or bodies is two events.",
    4: "One number with two statuses is two events and a conflict; the terminal status wins.",
    5: "`completed` before `in-progress`: the call stays ended, the late event takes its place.",
    6: "`ringing` before `initiated` is put in order by number.",
    7: "Only the terminal event comes: the call begins and ends at once, its answer time is unknown.",
    8: "`completed` with a duration and without an answered event: the answer is derived, and marked.",
    9: "A sequence gap holds nothing up.",
    10: "busy, no-answer and canceled are terminal and no failures.",
    11: "failed, with or without a SIP code.",
    12: "no-answer with SIP 487 is no-answer.",
    13: "Canceled while queued: an end without initiated and ringing.",
    14: "An end without a duration has none: null, not 0.",
    15: "A duration of 0 of a completed call stays 0, and the call was answered.",
    16: "`Duration` is minutes and is not read as seconds.",
    17: "Parent and child come interleaved, the child first.",
    18: "Of a simultaneous dial one leg is answered; the others are not failures.",
    19: "Several recordings come minutes after the end and do not reopen the call.",
    20: "A recording may be absent.",
    21: "Who answered may come after the end, or inside the last callback.",
    22: "A conference's callback names a call and has a number of its own counter.",
    23: "A row of Calls with its price is an update, not an event.",
    24: "A row that is behind the callbacks does not reopen the call.",
    25: "Level and edge of Voice Insights may be null, and stay null.",
    26: "Identical rows of one read are twins; the same two in the next read.",
    27: "Voice Insights are read at each edge.",
    28: "What is not there yet, or partial, is read again later.",
    29: "A callback, its logged request and its CloudEvent are one event.",
    30: "Unknown and nested parameters of the request log are kept.",
    31: "RFC 2822 with any offset, one-digit days, no weekday.",
    32: "A broken or impossible date costs the date, not the event.",
    33: "ISO 8601 with any fraction and offset: equal times are equal.",
    34: "Leap seconds, the turn of the year, clocks that are ahead.",
    35: "Telnyx: further attempts and the failover URL are the same event.",
    36: "Telnyx: two ids are two events, whatever else is equal.",
    37: "Telnyx: a hangup before its answer.",
    38: "Telnyx: a normal hangup does not prove an answer.",
    39: "Telnyx: cost, recordings and transcripts come after the end.",
    40: "Telnyx: a bridge is told once for each leg of a session.",
    41: "Unknown names, words and fields are kept.",
    42: "Envelopes of version 1, by GET, as list or object, with data as text.",
    43: "Events without `call.` in their names, and with their time in the payload.",
    44: "A stale, wrong or missing signature is refused before anything changes, without a word.",
    45: "An unsigned probe is refused and is not an event; credentials in the URL are not signed.",
    46: "Own parameters in a callback's URL do not shadow the provider's.",
    47: "Subaccounts on one endpoint stay apart.",
    48: "Addresses of every kind are kept as they are.",
    49: "Odd encodings, large bodies, many parameters.",
    50: "What is personal or secret does not leave.",
    51: "What comes again after a restart is the same event.",
    52: "Only what is written is acknowledged, in the provider's time.",
    53: "Paging: links of either kind, loops, other hosts, missing ends.",
    54: "Telnyx: what is older than 24 hours is read by its leg.",
    55: "A failed delivery is not a failed call.",
    56: "A 429 pauses for as long as it names.",
    57: "Two calls with equal numbers and times stay apart.",
    58: "A TeXML callback at Twilio's path is Telnyx'.",
    59: "Ids are compared as they were sent, case included.",
    60: "Every spelling of a status is one status.",
}


@cache
def case_tests() -> dict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if not re.search(r"test_case_\d|\"Cases? \d", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name[:5] != "test_":
                continue
            named = re.match(r"test_case_(\d+)_", node.name)
            told = re.match(r"Cases? ([\d, ]*\d)", ast.get_docstring(node) or "")
            numbers = {named[1]} if named else set(re.findall(r"\d+", told[1])) if told else set()
            for number in numbers:
                found[int(number)].append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def test_all_cases_are_here() -> None:
    assert list(CASES) == list(range(1, 61))
    assert case_tests().keys() <= CASES.keys()


@pytest.mark.parametrize("number", CASES)
def test_a_case_has_a_test_of_its_own(number: int) -> None:
    assert case_tests()[number], CASES[number]
