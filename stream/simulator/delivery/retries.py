"""When a provider retries a webhook, and when it gives up.

Pure: no clock, no network. A wait counts towards a provider's total time at its own length, so that a run may
stretch or shorten the waits and see the same attempts.
(Twilio: "Webhook connection overrides"; Telnyx: "Receiving webhooks", `webhook_retries_policies`. How long
Twilio waits between two attempts is not documented: half a second here, then twice as long each time.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stream.simulator.delivery.answers import AttemptResult

CEILING_S = 15.0
"""Twilio's limit for a request about a call, whatever the overrides say."""

FIRST_WAIT_S = 0.5
FAILURES = frozenset({"4xx", "5xx", "ct", "rt"})
_RANGES = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}


class AttemptTimeouts(NamedTuple):
    """How long an attempt may take: to connect, until the answer, in total."""

    connect_s: float
    answer_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class TwilioRetries:
    """Twilio's rules for a URL; the defaults are those of a URL without overrides.

    `retry_on`: some of `4xx 5xx ct rt` (an answer, no connection, no answer in time).
    """

    connect_s: float = 5.0
    answer_s: float = 15.0
    total_s: float = CEILING_S
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    def limits(self, spent_s: float) -> AttemptTimeouts:
        """The time-outs of the next attempt. `spent_s`: how much of the delivery's time is used up."""
        left_s = max(self.total_s - spent_s, 0.001)
        return AttemptTimeouts(min(self.connect_s, left_s), min(self.answer_s, left_s), left_s)

    def wait_s(self, result: AttemptResult, attempts: int, spent_s: float) -> float | None:
        """How long until the next attempt, after this many attempts; None to give up."""
        failure = {"no_answer": "rt", "unreachable": "ct"}.get(result.kind, result.kind)
        wait_s = float(FIRST_WAIT_S * 2 ** (attempts - 1))
        if failure not in self.retry_on or attempts > self.retries or spent_s + wait_s >= self.total_s:
            return None
        return wait_s


def twilio_retries(text: str) -> TwilioRetries:
    """The rules in a URL's fragment, such as `rc=3&rp=5xx,rt&ct=1000`; empty for Twilio's defaults.

    `sni` and `e` (edges) are accepted and change nothing here. Raises ValueError.
    """
    said: dict[str, str] = {}
    for part in filter(None, text.removeprefix("#").split("&")):
        name, _, value = part.partition("=")
        if name not in (*_RANGES, "rp", "sni", "e"):
            raise ValueError(f"{name} is not a connection override of Twilio: rc, rp, ct, rt, tt, sni, e")
        said[name] = value
    failures = set(said.get("rp", "ct").split(","))
    if "all" in failures:
        failures = {*(failures - {"all"}), *FAILURES}
    if failures - FAILURES:
        raise ValueError(f"rp={said['rp']}: some of {', '.join(sorted(FAILURES))}, or all")
    return TwilioRetries(
        connect_s=_within(said, "ct", 5000) / 1000,
        answer_s=_within(said, "rt", 15_000) / 1000,
        total_s=_within(said, "tt", 15_000) / 1000,
        retries=_within(said, "rc", 1),
        retry_on=frozenset(failures),
    )


def _within(said: Mapping[str, str], name: str, default: int) -> int:
    least, most = _RANGES[name]
    text = said.get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"{name}={text}: a whole number from {least} to {most}")
    return int(text)


@dataclass(frozen=True, slots=True)
class TelnyxRetries:
    """Telnyx' rules: 5xx, 408, 429 and no answer are retried, after each of `waits_s`.

    With `failover`, the second address is tried at once whenever the first one fails.
    """

    answer_s: float = 2.0
    waits_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    failover: bool = False

    def limits(self, spent_s: float) -> AttemptTimeouts:
        return AttemptTimeouts(self.answer_s, self.answer_s, self.answer_s)

    def wait_s(self, result: AttemptResult, attempts: int, spent_s: float) -> float | None:
        if result.status and result.status < 500 and result.status not in (408, 429):
            return None
        rounds, tried_first_only = divmod(attempts, 2) if self.failover else (attempts, 0)
        if tried_first_only:
            return 0.0
        return self.waits_s[rounds - 1] if rounds <= len(self.waits_s) else None

    def is_failover(self, attempt: int) -> bool:
        """Whether this attempt, counted from 1, goes to the second address."""
        return self.failover and attempt % 2 == 0


RetryPolicy = TwilioRetries | TelnyxRetries
