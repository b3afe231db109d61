"""What a comparison with the truth found, for a person and for a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stream.simulator.check.leaks import LeakSearch
from stream.simulator.delivery.answers import AnswerStats

EXAMPLES = 10
MOST_LEAKS = 50
"""Each is another place, which somebody will want to mend."""

KINDS: dict[str, str] = {
    "event_missing": "events missing",
    "event_unexpected": "events unexpected",
    "event_repeated": "events repeated",
    "event_different": "events that say something else",
    "call_missing": "calls without a record of their end",
    "call_wrong": "calls with a wrong status or outcome",
    "call_unexpected": "calls with a record of an end that nobody reported",
    "completeness_wrong": "calls whose last record says something else of its sources",
    "record_repeated": "call records repeated",
    "alert_missing": "alerts missing",
    "alert_unexpected": "alerts unexpected",
    "alert_repeated": "alerts repeated",
    "dead_letter": "deliveries in the dead letters",
    "delivery_refused": "deliveries that the gateway refused for good",
    "leak": "records and texts from which a number, a name or a secret leaves",
}
"""Every kind of difference, and its words."""


@dataclass
class CheckReport:
    """The counts, and of each kind of difference how many there are and the first ten of them.

    `others` counts records of calls that this run did not make: someone else's traffic on the same topics.
    `given_up` counts deliveries that their provider gave up, and of what only those told `landed` events that
    came out all the same; neither is a difference. `looked_at` names what was searched for leaks.
    """

    calls: int = 0
    calls_ended: int = 0
    deliveries: int = 0
    events_expected: int = 0
    events_found: int = 0
    alerts_expected: int = 0
    alerts_found: int = 0
    others: int = 0
    given_up: int = 0
    landed: int = 0
    seconds: float = 0.0
    looked_at: list[str] = field(default_factory=list)
    differences: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Nothing differs."""
        return not self.differences

    def differ(self, kind: str, example: str) -> None:
        """Note a difference."""
        assert kind in KINDS, kind
        self.differences[kind] = self.differences.get(kind, 0) + 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < EXAMPLES:
            examples.append(example)

    def answered(self, answers: AnswerStats) -> None:
        """Note what a gateway said: what it refused for good differs, what was only given up does not."""
        self.given_up = answers.given_up - answers.refused
        if answers.refused:
            self.differences["delivery_refused"] = answers.refused
            self.examples["delivery_refused"] = answers.refusals

    def searched(self, search: LeakSearch) -> None:
        """Note what was searched for what must not leave, and what of it has."""
        self.looked_at = [f"{search.records:,} records", *search.texts]
        if search.found:
            self.differences["leak"] = search.found
            self.examples["leak"] = search.examples[:MOST_LEAKS]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "ok": self.ok,
            "calls": self.calls,
            "calls_ended": self.calls_ended,
            "deliveries": self.deliveries,
            "events": {"expected": self.events_expected, "found": self.events_found},
            "alerts": {"expected": self.alerts_expected, "found": self.alerts_found},
            "others": self.others,
            "given_up": self.given_up,
            "landed": self.landed,
            "seconds": round(self.seconds, 3),
            "looked_at": self.looked_at,
            "differences": {kind: self.differences.get(kind, 0) for kind in KINDS},
            "examples": self.examples,
        }

    def lines(self) -> list[str]:
        """For a person."""
        found = [
            f"deliveries  {self.deliveries:>9,}   of {self.calls:,} calls, {self.calls_ended:,} ended",
            f"events      {self.events_found:>9,}   of {self.events_expected:,} expected",
            f"alerts      {self.alerts_found:>9,}   of {self.alerts_expected:,} expected",
        ]
        if self.given_up:
            found.append(
                f"given up    {self.given_up:>9,}   deliveries, lost to callbacks and not expected;"
                f" {self.landed:,} events of them came out all the same"
            )
        if self.others:
            found.append(
                f"others      {self.others:>9,}   records of calls that are not of this run, not compared"
            )
        if self.looked_at:
            found.append(f"looked for what must not leave in {', '.join(self.looked_at)}")
        if self.ok:
            return [*found, "No difference."]
        for kind, count in self.differences.items():
            found += ["", f"{count:,} {KINDS[kind]}:", *(f"  {example}" for example in self.examples[kind])]
            if count > len(self.examples[kind]):
                found.append(f"  … and {count - len(self.examples[kind]):,} more")
        return found
