"""Which failures of a call were told already: one failure raises one alert, whichever source tells it.

An entry of the provider's error log is told by several sources under one id. A failing request of the
application is in the request log too, without that id: the two are one failure if they name one endpoint and
nearly one time. How many failures a set of reports comes to does not depend on their order, so neither does
the number of alerts.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from stream.core.delivery.audit import is_own_url
from stream.core.effects import ErrorLogged
from stream.core.events import Reading
from stream.core.policy import CallPolicy


class Failure(msgspec.Struct, array_like=True):
    """One report of a failure.

    - `entry`: the event's id if it is an entry of the provider's error log, else empty.
    - `endpoint`: a hash of the URL that failed, 0 for none; `at_s`: when, in seconds since 1970.
    """

    entry: str
    endpoint: int
    at_s: int | None


FAILURES_CAP = 32
"""Failures, and lost callbacks, of a call that are remembered. Beyond it, each further event is a failure of
its own.
"""

_NEAR_S = 20
"""Seconds between the times that two logs give one failing request. Twilio waits up to 15 s for an answer."""

_ANYWHERE = 0
"""The endpoint of an entry that names none."""


def is_own(reading: Reading, policy: CallPolicy) -> bool:
    """Whether a provider's log tells of a request to our gateway, not to the application."""
    return reading.answer is not None and is_own_url(reading.answer.endpoint, policy.public_url)


def error_logged(reading: Reading, policy: CallPolicy) -> ErrorLogged:
    """The effect of a new entry of the error log."""
    about = "own_url" if is_own(reading, policy) else reading.remark or "other"
    return ErrorLogged(reading.event.level, about)


def noted(known: tuple[Failure, ...], reading: Reading) -> tuple[Failure, ...]:
    """The reports of a call with the failure that a reading tells, the same ones if it told it before."""
    reported = _failure(reading)
    if len(known) >= FAILURES_CAP:
        return known
    if reported.entry and any(failure.entry == reported.entry for failure in known):
        return known
    return (*known, reported)


def _failure(reading: Reading) -> Failure:
    event, answer = reading.event, reading.answer
    at_s = reading.occurred_us // 1_000_000 if reading.occurred_us is not None else None
    if answer is not None:
        endpoint = crc32(answer.endpoint.encode("utf-8", "surrogatepass"))
    else:
        endpoint = _ANYWHERE
        if reading.remark == "other":
            at_s = None  # it is about no request, so no row of a request log is the same failure
    return Failure(event.id if reading.remark is not None else "", endpoint, at_s)


def failure_count(reports: tuple[Failure, ...]) -> int:
    """How many failures these are: as few as possible, of at most one row and one entry each."""
    entries = [report for report in reports if report.entry]
    row_of: dict[int, Failure] = {}

    def place(row: Failure, tried: set[int]) -> bool:
        for at, entry in enumerate(entries):
            if at in tried or not _may_be_one(row, entry):
                continue
            tried.add(at)
            if at not in row_of or place(row_of[at], tried):
                row_of[at] = row
                return True
        return False

    pairs = sum(place(report, set()) for report in reports if not report.entry)
    return len(reports) - pairs


def _may_be_one(row: Failure, entry: Failure) -> bool:
    """A row of a request without a response has no time, an entry about no request has none to compare."""
    if entry.at_s is None or entry.endpoint not in (row.endpoint, _ANYWHERE):
        return False
    return row.at_s is None or abs(row.at_s - entry.at_s) <= _NEAR_S
