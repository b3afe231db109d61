"""What a check found: counts and differences, for a person and for a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stream.simulator.check.leaks import LeakSearch
from stream.simulator.delivery.answers import AnswerStats

EXAMPLES = 10
MOST_LEAKS = 50
"""More than other examples, because each is a different place to fix."""

KINDS: dict[str, str] = {
    "event_missing": "events missing",
    "event_unexpected": "events unexpected",
    "event_repeated": "events repeated",
    "event_different": "events with other contents",
    "event_id_shared": "events whose id is that of another event",
    "call_missing": "calls without a record of their end",
    "call_wrong": "calls whose last record says something else",
    "call_unexpected": "calls with a record of an end that no report said",
    "completeness_wrong": "calls whose last record has another completeness",
    "record_repeated": "call records repeated",
    "record_order": "call records out of order, or after one that is missing",
    "misplaced": "records with another key or header, or in another partition than others of their call",
    "alert_missing": "alerts missing",
    "alert_unexpected": "alerts unexpected",
    "alert_repeated": "alerts repeated",
    "alert_active": "alerts that fire and are not active, or the other way round",
    "dead_letter": "deliveries in the dead letters",
    "delivery_refused": "deliveries that the gateway refused for good",
    "leak": "records and texts with a number, a name or a secret in them",
}
"""Every kind of difference, and how a person reads it."""


@dataclass
class CheckReport:
    """The counts, and of each kind of difference the number and the first ten examples.

    - `others`: records of calls that are not of this run, from other traffic on the same topics.
    - `given_up`: deliveries that their provider gave up on; `landed`: events of only those that came out all
      the same. Neither is a difference.
    - `looked_at`: what was searched for leaks.
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
        return not self.differences

    def differ(self, kind: str, example: str) -> None:
        assert kind in KINDS, kind
        self.differences[kind] = self.differences.get(kind, 0) + 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < EXAMPLES:
            examples.append(example)

    def answered(self, answers: AnswerStats) -> None:
        """Add a gateway's answers. A delivery that was refused for good is a difference."""
        self.given_up = answers.given_up - answers.refused
        if answers.refused:
            self.differences["delivery_refused"] = answers.refused
            self.examples["delivery_refused"] = answers.refusals

    def searched(self, search: LeakSearch) -> None:
        self.looked_at = [f"{search.records:,} records", *search.texts]
        if search.found:
            self.differences["leak"] = search.found
            self.examples["leak"] = search.examples[:MOST_LEAKS]

    def as_json(self) -> dict[str, Any]:
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
        found = [
            f"deliveries  {self.deliveries:>9,}   of {self.calls:,} calls, {self.calls_ended:,} ended",
            f"events      {self.events_found:>9,}   of {self.events_expected:,} expected",
            f"alerts      {self.alerts_found:>9,}   of {self.alerts_expected:,} expected",
        ]
        if self.given_up:
            found.append(
                f"given up    {self.given_up:>9,}   deliveries, not expected to come out;"
                f" {self.landed:,} events of them came out all the same"
            )
        if self.others:
            found.append(f"others      {self.others:>9,}   records of calls of other runs, not compared")
        if self.looked_at:
            found.append(f"searched for personal data and secrets: {', '.join(self.looked_at)}")
        if self.ok:
            return [*found, "No difference."]
        for kind, count in self.differences.items():
            found += ["", f"{count:,} {KINDS[kind]}:", *(f"  {example}" for example in self.examples[kind])]
            if count > len(self.examples[kind]):
                found.append(f"  … and {count - len(self.examples[kind]):,} more")
        return found
