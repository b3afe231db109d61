"""When a provider sends a webhook again, and when it gives up.

The rule of this file: it decides and does nothing; no clock, no network. What a wait costs of a provider's
total time is counted at its own length, so that a run may stretch or shorten the waits and see the same
attempts.
(Twilio: "Webhook connection overrides"; Telnyx: "Receiving webhooks", `webhook_retries_policies`. How long
Twilio waits between two attempts is not documented: half a second here, then twice as long each time.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

CEILING_S = 15.0
"""No request of Twilio's about a call takes longer, whatever the overrides say."""

FIRST_WAIT_S = 0.5
KINDS = ("2xx", "3xx", "4xx", "5xx", "no_answer", "unreachable")
FAILURES = frozenset({"4xx", "5xx", "ct", "rt"})
_RANGES = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}


class AttemptResult(NamedTuple):
    """What came of an attempt: a status, or 0 for none; then `connected` says whether it may have arrived."""

    status: int
    connected: bool = True

    @property
    def kind(self) -> str:
        """One of KINDS."""
        if not self.status:
            return "no_answer" if self.connected else "unreachable"
        return f"{self.status // 100}xx"

    @property
    def taken(self) -> bool:
        """The only answer that counts."""
        return 200 <= self.status < 300

    @property
    def doubtful(self) -> bool:
        """Nobody knows whether it was landed: who answers 503 may have failed after that."""
        return self.status >= 500 or (not self.status and self.connected)

    @property
    def refused(self) -> bool:
        """It was understood and not wanted; a request to slow down is none."""
        return 300 <= self.status < 500 and self.status not in (408, 429)


class AttemptTimeouts(NamedTuple):
    """How long an attempt may take, in seconds: to connect, to the answer, altogether."""

    connect_s: float
    answer_s: float
    total_s: float


class RetryPolicy(Protocol):
    """A provider's rules for one delivery."""

    def limits(self, spent_s: float) -> AttemptTimeouts:
        """Of an attempt that begins when so much of the delivery's time is spent."""
        ...

    def wait_s(self, answer: AttemptResult, attempts: int, spent_s: float) -> float | None:
        """How long until the next attempt, after so many and such an answer; None to give up."""
        ...


@dataclass(frozen=True, slots=True)
class TwilioRetries:
    """Twilio's rules for a URL, with the defaults of one without overrides.

    `retry_on` holds some of `4xx 5xx ct rt`: an answer, no connection, no answer in time.
    """

    connect_s: float = 5.0
    answer_s: float = 15.0
    total_s: float = CEILING_S
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    def limits(self, spent_s: float) -> AttemptTimeouts:
        """See Policy."""
        left_s = max(self.total_s - spent_s, 0.001)
        return AttemptTimeouts(min(self.connect_s, left_s), min(self.answer_s, left_s), left_s)

    def wait_s(self, answer: AttemptResult, attempts: int, spent_s: float) -> float | None:
        """See Policy."""
        failure = {"no_answer": "rt", "unreachable": "ct"}.get(answer.kind, answer.kind)
        wait_s = float(FIRST_WAIT_S * 2 ** (attempts - 1))
        if failure not in self.retry_on or attempts > self.retries or spent_s + wait_s >= self.total_s:
            return None
        return wait_s


def overrides(text: str) -> TwilioRetries:
    """What a URL's fragment says, such as `rc=3&rp=5xx,rt&ct=1000`; empty for Twilio's defaults.

    `sni` and `e` (edges) are understood and change nothing here. Raises ValueError.
    """
    said: dict[str, str] = {}
    for part in filter(None, text.removeprefix("#").split("&")):
        name, _, value = part.partition("=")
        if name not in (*_RANGES, "rp", "sni", "e"):
            raise ValueError(f"{name} is no connection override of Twilio's: rc, rp, ct, rt, tt, sni, e")
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
    """Telnyx' rules: 5xx, 408, 429 and no answer are tried again, after each of `waits_s`.

    With `failover` a second address is tried at once whenever the first one failed.
    """

    answer_s: float = 2.0
    waits_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    failover: bool = False

    def limits(self, spent_s: float) -> AttemptTimeouts:
        """See Policy."""
        return AttemptTimeouts(self.answer_s, self.answer_s, self.answer_s)

    def wait_s(self, answer: AttemptResult, attempts: int, spent_s: float) -> float | None:
        """See Policy."""
        if answer.status and answer.status < 500 and answer.status not in (408, 429):
            return None
        rounds, tried_first_only = divmod(attempts, 2) if self.failover else (attempts, 0)
        if tried_first_only:
            return 0.0
        return self.waits_s[rounds - 1] if rounds <= len(self.waits_s) else None

    def is_failover(self, attempt: int) -> bool:
        """Whether this attempt, counted from 1, goes to the second address."""
        return self.failover and attempt % 2 == 0
