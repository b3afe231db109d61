"""Where the commands about calls read: the query API or the archive itself, behind one Protocol."""

from __future__ import annotations

from typing import Protocol

from stream.archive.questions import AlertFilter, CallFilter, CallHistory, CallPage, RecordPage


class NoAnswerError(Exception):
    """Nothing answers, or it refuses. The message says what to do."""


class CallReader(Protocol):
    """Answers questions about calls. Every method raises NoAnswerError, and ValueError for a cursor (`after`)
    that is not one.
    """

    where: str
    """What is read, for a person."""

    async def calls(self, wanted: CallFilter, limit: int, after: str | None = None) -> CallPage: ...

    async def call(self, key: str) -> CallHistory | None: ...

    async def find(self, part: str, limit: int) -> list[str]:
        """Keys of calls that contain a part of an id, newest first."""
        ...

    async def alerts(self, wanted: AlertFilter, limit: int, after: str | None = None) -> RecordPage: ...

    async def close(self) -> None: ...
