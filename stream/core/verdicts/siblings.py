"""Which children of a call were answered, and whether another child lost a dial against one of them.

Answers are a join: what is known does not depend on the order in which they are told, nor on how often.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream.core.timestamps import SECOND_US
from stream.core.verdicts.evidence import Evidence

LOST_A_DIAL = ("sibling", "answered")
"""Of a call that was dialled together with another one, which was answered."""

ANSWERS_CAP = 8
"""How many answered calls of one parent are kept: the lowest by id, whatever came first."""

SLACK_US = 2 * SECOND_US
"""Sources give times in whole seconds: what is this much after the end may have been before it."""

CANCELED_WITHIN_US = 10 * SECOND_US
"""The others of a simultaneous dial end within this time after the answer, usually at once."""


class AnsweredCall(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A call that was answered.

    - `call_id`: its id; `at_us`: when it was answered, None if no source says.
    - `derived`: `at_us` is its end minus its talk time.
    """

    call_id: str
    at_us: int | None = None
    derived: bool = False

    def precedence(self) -> tuple[bool, bool, int]:
        """The lowest of several reports of one call counts: a time before none, a provider's before a derived
        one, an earlier before a later one.
        """
        return self.at_us is None, self.derived, self.at_us or 0


def with_answers(known: tuple[AnsweredCall, ...], told: tuple[AnsweredCall, ...]) -> tuple[AnsweredCall, ...]:
    """The answered calls that are known, with others, by id; the same tuple if that is nothing new."""
    found = {one.call_id: one for one in known}
    for one in told:
        before = found.get(one.call_id)
        if before is None or one.precedence() < before.precedence():
            found[one.call_id] = one
    kept = tuple(found[call_id] for call_id in sorted(found)[:ANSWERS_CAP])
    return known if kept == known else kept


def lost_dial(
    answered: Iterable[AnsweredCall], began_us: int | None, ended_us: int | None
) -> Evidence | None:
    """The fact that a call lost a dial against one of these; None if each was answered before the call was
    dialled or after it had ended. A time that is not known is not held against it.
    """
    won = [
        one.at_us
        for one in answered
        if one.at_us is None
        or (
            (began_us is None or began_us <= one.at_us + SLACK_US)
            and (ended_us is None or ended_us >= one.at_us - SLACK_US)
        )
    ]
    if not won:
        return None
    return Evidence(*LOST_A_DIAL, min((at_us for at_us in won if at_us is not None), default=None))
