"""What came of the attempts to deliver webhooks: each attempt's result, and the counts of a run.

The counts do not grow with the run: times are counted with three digits.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

KINDS = ("2xx", "3xx", "4xx", "5xx", "no_answer", "unreachable")
EXAMPLES = 10


class AttemptResult(NamedTuple):
    """The status of the answer, 0 for none. Without an answer, `connected` says if it may have arrived."""

    status: int
    connected: bool = True

    @property
    def kind(self) -> str:
        if not self.status:
            return "no_answer" if self.connected else "unreachable"
        return f"{self.status // 100}xx"

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def doubtful(self) -> bool:
        """It may have been written to Kafka: a gateway that answers 503 may have failed after that."""
        return self.status >= 500 or (not self.status and self.connected)

    @property
    def refused(self) -> bool:
        """Refused for good; a request to slow down is not a refusal."""
        return 300 <= self.status < 500 and self.status not in (408, 429)


class AnswerStats:
    """The deliveries of a run.

    - `sent`, `taken`, `given_up`: deliveries; `refused`: those of `given_up` that were refused for good.
    - `retried`: attempts beyond the first of each delivery.
    - `by_kind`: attempts by the kind of their result.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.taken = 0
        self.given_up = 0
        self.refused = 0
        self.retried = 0
        self.by_kind: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._times: Counter[float] = Counter()

    def answered(self, answer: AttemptResult, seconds: float) -> None:
        self.by_kind[answer.kind] += 1
        if answer.status:
            self._times[float(f"{seconds:.2e}")] += 1

    def gave_up(self, answer: AttemptResult, what: str) -> None:
        """Count a delivery whose last attempt had this result."""
        self.given_up += 1
        if answer.refused:
            self.refused += 1
            if len(self.refusals) < EXAMPLES:
                self.refusals.append(f"{what}: answered {answer.status}")

    @property
    def took_nothing(self) -> bool:
        return self.sent > 0 and not self.taken

    @property
    def reached(self) -> bool:
        """Whether any attempt got a connection."""
        return any(count for kind, count in self.by_kind.items() if kind != "unreachable")

    @property
    def turned_away(self) -> bool:
        """Whether any attempt got a 3xx or 4xx: not a failure of the gateway."""
        return bool(self.by_kind["3xx"] or self.by_kind["4xx"])

    def quantile_s(self, share: float) -> float | None:
        """The time within which this share of the answers came; None without answers."""
        total = sum(self._times.values())
        reached = 0
        for seconds in sorted(self._times):
            reached += self._times[seconds]
            if reached >= share * total:
                return seconds
        return None

    def as_json(self) -> dict[str, Any]:
        return {
            "sent": self.sent,
            "taken": self.taken,
            "given_up": self.given_up,
            "refused": self.refused,
            "retried": self.retried,
            "answers": {kind: self.by_kind[kind] for kind in KINDS},
            "p50_ms": _milliseconds(self.quantile_s(0.5)),
            "p99_ms": _milliseconds(self.quantile_s(0.99)),
        }

    def lines(self) -> list[str]:
        kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in self.by_kind.items())
        found = [
            f"callbacks   {self.sent:>9,}   sent, {self.taken:,} taken, {self.given_up:,} given up",
            f"attempts    {self.by_kind.total():>9,}   {self.retried:,} of them retries: {kinds or 'none'}",
        ]
        p50, p99 = _milliseconds(self.quantile_s(0.5)), _milliseconds(self.quantile_s(0.99))
        if p50 is not None:
            found.append(f"answered within {p50:g} ms (median), {p99:g} ms (99 %)")
        return found


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
