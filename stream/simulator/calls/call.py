"""A simulated call as its provider reports it: what is sent, what can be read, which of it got through."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from stream.simulator.calls.scenario import CallLeg


class ProviderReport(NamedTuple):
    """One thing that a provider says of a call: a callback that it sends, or a row that a poller reads.

    `at_us` is when it leaves the provider, `ordinal` its place among identical twins of one read (None for
    callbacks).
    """

    source: str
    number: int
    at_us: int
    ordinal: int | None = None


class SimulatedCall(Protocol):
    """A call of either provider.

    `seen` holds (source, number) of every report that was delivered: what must come out follows from it.
    `doubtful` holds those that may have been delivered: their provider gave up without knowing.
    """

    key: str
    account: str
    leg: CallLeg
    seen: set[tuple[str, int]]
    doubtful: set[tuple[str, int]]

    def reports(self) -> list[ProviderReport]:
        """All that the provider says of the call, callbacks first and in the order in which they are sent."""
        ...

    def held(self) -> set[tuple[str, int]]:
        """(source, number) of every row that can be read in the end, where the rows are served."""
        ...

    def passing(self) -> set[tuple[str, int]]:
        """(source, number) of what can be read of it meanwhile, and may be missed."""
        ...

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        """A report as it is written. `attempt` counts from 1; it changes what a repetition changes."""
        ...

    def endpoint(self, source: str) -> str:
        """The path that a callback was sent to or a row read from."""
        ...

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        """The idempotency token of a delivery, where the provider sends one."""
        ...
