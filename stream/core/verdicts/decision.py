"""How the verdict's table is read: from the evidence of an ended call to whose fault its end was.

It is a function of a set of facts, so their order of arrival does not matter. `unknown` is a proper answer:
it is given where evidence is missing, contradicts itself, or fits two faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from stream.core.sources import source_names
from stream.core.timestamps import SECOND_US, utc
from stream.core.verdicts.evidence import Evidence, joined
from stream.core.verdicts.row import Row
from stream.core.verdicts.siblings import LOST_A_DIAL, SLACK_US
from stream.core.verdicts.table import TABLE, UNKNOWN

LEVELS: dict[str, int] = {"": 0, "low": 1, "medium": 2, "high": 3}
"""How much a statement counts, by its confidence."""

CONFIDENCES: tuple[str | None, ...] = (None, "low", "medium", "high")

_FLOW, _CODES, _STATUS = 4, 6, 7
RINGS_S = (2, 10)
"""How long it rang, as rows ask for it."""

_LESS_SPECIFIC = frozenset({"404", "480", "503"})
"""SIP codes that are less specific than the cause of the telephone network."""

_OF_PERSONS, _OF_PERSONS_IF_IT_RANG = frozenset({"486", "600"}), frozenset({"480", "603"})
_BY_PERSONS = frozenset(
    f"media:{name}"
    for name in ("disconnected-by-local", "disconnected-by-remote", "rejected-by-local", "cancel")
)
"""What a client reports of a person, not of its network."""

_HUNG_UP = frozenset({"disconnected_by:caller", "disconnected_by:callee"})
_KIND_OF_SCHEME = {"client": "device", "sip": "device", "sips": "device", "tel": "pstn", "h": "pstn"}

_NOTHING = "Nothing says why the call did not succeed."
_TWO_FAULTS = "Two faults are proved, and nothing says which came first."

_ROWS: dict[tuple[str, str], list[Row]] = {}
for _row in TABLE:
    for _value in _row.values.split():
        _ROWS.setdefault((_row.fact, _value), []).append(_row)


_TIMED = frozenset(row.fact for row in TABLE if row.within_s is not None or row.recovered_by)
_OF_FLOW = frozenset(row.fact for row in TABLE if row.rung == _FLOW)


class VerdictEvidence(msgspec.Struct):
    """One fact that a verdict was derived from.

    - `fact`, `value`: as in the table; `at`: when it was last so, RFC 3339 or None.
    - `fault`: whose fault it speaks for, None if it says nothing; `sources`: which sources reported it.
    - `detail`: of a request, its URL without query.
    """

    fact: str
    value: str
    at: str | None
    fault: str | None
    sources: list[str]
    detail: str | None


class Verdict(msgspec.Struct):
    """Whose fault it was that a call did not succeed.

    - `fault`: one of `table.FAULTS`; `confidence`: `high`, `medium` or `low`, None for `unknown`.
    - `reason`: a sentence for a person; `evidence`: all that was looked at, the deciding facts first.
    """

    fault: str
    confidence: str | None
    reason: str
    evidence: list[VerdictEvidence]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What the life cycle says of a call that has ended, or should have. Few cases differ.

    - `status`: how it ended, None if nobody said; `answered`: it was answered and ended as `completed`;
      `was_answered`: it was answered, however it ended.
    - `rang`: the highest of RINGS_S, in seconds, that it rang for; of a Telnyx call, that it took.
    - `direction`: `inbound`, `outbound` or None; `is_child`: another call dialled it; `by_api`: the
      application dialled it by Twilio's API.
    - `calls_from`, `calls`: the kinds of the addresses, see `kind_of`.
    - `contradicted`: sources say different ends.
    """

    provider: str
    status: str | None
    answered: bool
    was_answered: bool
    rang: int
    sip_response_code: int | None
    hangup_cause: str | None
    direction: str | None
    is_child: bool
    by_api: bool
    calls_from: str | None
    calls: str | None
    contradicted: bool

    def facts(self) -> Iterator[tuple[str, str]]:
        """Those of the table."""
        yield "status", self.status or "none"
        if self.sip_response_code is not None:
            yield "sip_response_code", str(self.sip_response_code)
        if self.hangup_cause:
            yield "hangup_cause", self.hangup_cause


class _Statement(msgspec.Struct):
    """A fact, and the row that says what it means; None if no row is about it.

    `level`: how much it counts, from 0 (not at all) to 3 (`high`).
    """

    fact: Evidence
    row: Row | None
    level: int = 0

    @property
    def fault(self) -> str | None:
        return self.row.fault if self.row is not None else None

    @property
    def rung(self) -> int:
        return self.row.rung if self.row is not None else _STATUS + 1

    @property
    def is_code(self) -> bool:
        return self.rung == _CODES and self.fact.fact in ("sip_response_code", "hangup_cause")

    @property
    def is_cause(self) -> bool:
        return self.fact.fact == "q850_cause"


class _Judgement(NamedTuple):
    """What a case comes to, and of each fact that was looked at whose fault it speaks for."""

    fault: str
    confidence: str | None
    reason: str
    said: tuple[tuple[str, str, str | None], ...]


def decide(
    case: Case, evidence: tuple[Evidence, ...], ended_us: int | None, rang_s: float | None, sources: int
) -> Verdict | None:
    """The verdict on a call; None if it succeeded, or lost against a sibling that was answered.

    `ended_us`: when it ended; `rang_s`: how long it rang, None if it was answered or this is not known;
    `sources`: the bits of those that say how it ended.
    """
    facts = {fact: Evidence(*fact, ended_us, sources) for fact in case.facts()}
    for one in evidence:
        known = facts.get((one.fact, one.value))
        facts[one.fact, one.value] = one if known is None else joined(known, one)
    timed = any(one.fact in _TIMED for one in evidence)
    judged = _judged(case, facts, ended_us) if timed else _judged_untimed(case, tuple(facts))
    if judged is None:
        return None
    told = []
    for name, value, fault in judged.said:
        fact = facts[name, value]
        at = utc(fact.at_us) if fact.at_us is not None else None
        told.append(VerdictEvidence(name, value, at, fault, source_names(fact.sources), fact.detail or None))
    if rang_s is not None:
        told.append(VerdictEvidence("ring_s", f"{rang_s:g}", None, None, [], None))
    return Verdict(judged.fault, judged.confidence, judged.reason, told)


@lru_cache(maxsize=4096)
def _judged_untimed(case: Case, facts: tuple[tuple[str, str], ...]) -> _Judgement | None:
    """The judgement where no time matters. There are few different ones."""
    return _judged(case, {fact: Evidence(*fact) for fact in facts}, None)


def may_have_broken(evidence: tuple[Evidence, ...]) -> bool:
    """Whether any of it may say that an error of its call flow ended an answered call."""
    return any(one.fact in _OF_FLOW and one.value != "2xx" for one in evidence)


def _judged(case: Case, facts: dict[tuple[str, str], Evidence], ended_us: int | None) -> _Judgement | None:
    holds = _what_holds(case, facts)
    if LOST_A_DIAL in facts and case.status in ("canceled", "no-answer"):
        return None
    statements = [_statement(fact, ended_us, holds, facts) for fact in facts.values()]
    if case.answered and not _broken_by_its_flow(statements, ended_us, holds):
        return None
    _combine_codes(statements, case)
    if any(one.row is not None and one.rung < _STATUS for one in statements):
        for one in statements:
            if one.rung == _STATUS:
                one.level = 0
    statements.sort(key=lambda one: (one.rung, -one.level, one.fact.fact, one.fact.value))
    fault, confidence, reason = _weighed(statements, case, holds)
    said = tuple((one.fact.fact, one.fact.value, one.fault) for one in statements)
    return _Judgement(fault, confidence, reason, said)


# -- the case


def kind_of(address: str | None) -> str | None:
    """`device` for a client's or SIP address, `pstn` for a number, None for another or an unknown one.

    Masked and hashed addresses are sufficient: they keep their scheme, and a hashed number begins with `h:`.
    """
    scheme, colon, _ = (address or "").partition(":")
    if not colon:
        return "pstn" if scheme else None
    return _KIND_OF_SCHEME.get(scheme.lower())


def _what_holds(case: Case, facts: Iterable[tuple[str, str]]) -> set[str]:
    """The conditions of rows that hold."""
    holds = {case.provider, "child" if case.is_child else "root", *map(":".join, facts)}
    if case.direction is not None:
        holds.add(case.direction)
    if case.by_api:
        holds.add("outbound-api")
    if case.was_answered:
        holds.add("answered")
    for side, kind in (("from", case.calls_from), ("to", case.calls)):
        if kind is not None:
            holds.add(f"{side}:{kind}")
    holds.update(f"rang:{s}" for s in RINGS_S if case.rang >= s)
    if not holds.isdisjoint(_BY_PERSONS):
        holds.add("media:person")
    return holds


def _statement(
    fact: Evidence, ended_us: int | None, holds: set[str], facts: dict[tuple[str, str], Evidence]
) -> _Statement:
    for row in _ROWS.get((fact.fact, fact.value), ()):
        if _applies(row, holds) and _in_time(row, fact, ended_us) and not _recovered(row, fact, facts):
            return _Statement(fact, row, LEVELS[row.confidence])
    return _Statement(fact, None)


def _applies(row: Row, holds: set[str]) -> bool:
    return all(not holds.isdisjoint(need.split("|")) for need in row.needs.split()) and holds.isdisjoint(
        row.unless.split()
    )


def _in_time(row: Row, fact: Evidence, ended_us: int | None) -> bool:
    """Whether the fact came before the end, and not too long. What has no time is not ruled out."""
    if row.within_s is None or fact.at_us is None or ended_us is None:
        return True
    return -SLACK_US <= ended_us - fact.at_us <= row.within_s * SECOND_US


def _recovered(row: Row, fact: Evidence, facts: dict[tuple[str, str], Evidence]) -> bool:
    """Whether what went wrong went well later."""
    name, _, value = row.recovered_by.partition(":")
    later = facts.get((name, value))
    return later is not None and (later.at_us or 0) >= (fact.at_us or 0)


# -- what it comes to


def _broken_by_its_flow(statements: list[_Statement], ended_us: int | None, holds: set[str]) -> bool:
    """Whether an error of the call flow ended an answered call: shortly before its end, and no person did.
    Nothing else counts then, and neither does what a call goes on after.
    """
    for one in statements:
        if one.rung != _FLOW or one.fact.at_us is None or ended_us is None:
            one.row, one.level = None, 0
    return any(one.level > LEVELS["low"] for one in statements) and holds.isdisjoint(_HUNG_UP)


def _combine_codes(statements: list[_Statement], case: Case) -> None:
    """A Telnyx hangup cause and its SIP code are one witness, and so are copies of a SIP code: the first of
    them counts. The cause of the telephone network is a second one.
    """
    codes = sorted((one for one in statements if one.is_code), key=lambda one: one.fact.fact)
    if not codes:
        return
    code = codes[0]
    if code.fact.fact == "hangup_cause":
        for echo in codes[1:]:
            echo.level = 0
    elif case.hangup_cause:
        code.level -= 1  # Telnyx gave a cause that says nothing
    for cause in [one for one in statements if one.is_cause and one.level]:
        if code.fault == UNKNOWN or "q850_cause" in (code.row.needs if code.row else ""):
            cause.level = 0
        elif cause.fault == code.fault:
            code.level, cause.level = min(code.level + 1, LEVELS["high"]), 0
        elif code.fact.value in _LESS_SPECIFIC:
            code.level = 0
        else:
            code.level, cause.level = code.level - 1, 0


def _weighed(statements: list[_Statement], case: Case, holds: set[str]) -> tuple[str, str | None, str]:
    """(fault, confidence, reason). The first rung that says something decides. What speaks for another fault
    lowers its confidence by one, and so does a disagreement on how the call ended; what speaks more strongly
    for the same fault raises it by one.
    """
    speaking = [one for one in statements if one.level > 0]
    if any(_is_person(one, holds) for one in speaking):
        # A person decides against a network that the provider only warned of.
        speaking = [one for one in speaking if one.row is None or not one.row.warning]
    if not speaking:
        open_ = next((one.row for one in statements if one.fault == UNKNOWN and one.row is not None), None)
        return UNKNOWN, None, _NOTHING if open_ is None else open_.reason
    first = speaking[0]
    assert first.row is not None, "what has a level has a row"
    others = [one for one in speaking if one.fault != first.fault]
    if first.level == LEVELS["high"] and any(
        (one.rung, one.level) == (first.rung, first.level) for one in others
    ):
        return UNKNOWN, None, _TWO_FAULTS
    agree = any(one.fault == first.fault and one.level > first.level for one in speaking)
    level = first.level + agree - any(one.level > 1 for one in others) - case.contradicted
    if level <= 0:
        return UNKNOWN, None, f"{first.row.reason} Other evidence contradicts it."
    return first.row.fault, CONFIDENCES[level], first.row.reason


def _is_person(one: _Statement, holds: set[str]) -> bool:
    """Whether a SIP code says that somebody did not want to answer."""
    code = one.fact.value
    return one.is_code and (code in _OF_PERSONS or (code in _OF_PERSONS_IF_IT_RANG and "rang:2" in holds))
