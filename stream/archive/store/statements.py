"""What the writer does to the tables within one transaction: one interface for both databases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from stream.archive.rows import CallRow


class AlertValues(NamedTuple):
    """A row of `schema.alerts`, in the order of its columns."""

    episode_id: str
    day: int
    revision: int
    fingerprint: str
    rule: str
    severity: str
    state: str
    account: str | None
    call_key: str | None
    at_us: int
    updated_us: int
    body: str


class EventValues(NamedTuple):
    """A row of `schema.events`, in the order of its columns."""

    day: int
    call_no: int
    id: str
    at_us: int
    number: int
    body: str


class Statements(Protocol):
    """The changes of one transaction. Those that put rows return how many were new or newer."""

    def offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]: ...

    def begin_offsets(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Those (topic, partition) that were never written are at 0 now."""
        ...

    def topic_ids(self, ids: Mapping[str, str]) -> dict[str, str]:
        """The ids of these topics that are kept. One that was not kept is, from now on."""
        ...

    def advance(self, topic: str, partition: int, first: int, end: int) -> bool:
        """Whether the partition was at `first`; it is at `end` now."""
        ...

    def prepare(self, *, is_durable: bool) -> None:
        """Whether its end waits for the disk. No statement of it waits for ever for another's."""
        ...

    def end_silent_writers(self) -> int:
        """End transactions that hold offsets and whose writers have not been heard of: frozen, or cut off.

        Returns how many.
        """
        ...

    def numbers(self, count: int) -> Sequence[int]:
        """The numbers of new calls."""
        ...

    def calls_of(self, keys: Collection[str]) -> dict[str, CallRow]: ...

    def put_calls(self, rows: Sequence[CallRow]) -> None: ...

    def put_codes(self, rows: Sequence[CallRow]) -> None: ...

    def put_records(self, rows: Sequence[tuple[int, int, int, str]]) -> int: ...

    def put_events(self, rows: Sequence[EventValues]) -> int: ...

    def put_loose_events(self, rows: Sequence[tuple[str, str, int, str | None, int, str]]) -> int: ...

    def put_alerts(self, rows: Sequence[AlertValues]) -> int: ...

    def forget(self, marks: Mapping[str, int]) -> int:
        """Delete all of these calls, and keep the marks: key and time. Returns the rows deleted."""
        ...

    def share_forgetting(self) -> None:
        """Until the end of this transaction, no other one forgets a call: it would not see the alerts that
        this one writes.
        """
        ...

    def condition_alerts(self) -> Iterable[tuple[str, str]]:
        """(episode id, body) of the alerts that are about no single call: some for each endpoint."""
        ...

    def put_alert_bodies(self, rows: Sequence[tuple[str, str]]) -> None:
        """Change alerts: (body, episode id)."""
        ...

    def forgotten_of(self, keys: Collection[str]) -> dict[str, int]: ...


class RecreatedError(Exception):
    """A topic is not the one that the archive has read. The message names it."""


def check_topics(statements: Statements, ids: Mapping[str, str]) -> None:
    """Keep the ids of topics that are read for the first time. Raises RecreatedError."""
    changed = ids.items() - statements.topic_ids(ids).items()
    if changed:
        raise RecreatedError(f"{min(changed)[0]} was deleted and made again")
