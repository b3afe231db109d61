"""Where the commands about calls read: the query API or the archive itself, behind one Protocol."""

from __future__ import annotations

import asyncio
from typing import Protocol

from stream.archive.questions import (
    AlertFilter,
    ArchiveError,
    CallFilter,
    CallHistory,
    CallPage,
    RecordPage,
)
from stream.archive.reader import Archive


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


class ArchiveCallReader:
    """Reads the archive's database, in threads."""

    def __init__(self, archive: Archive, where: str) -> None:
        self._archive = archive
        self.where = where

    async def calls(self, wanted: CallFilter, limit: int, after: str | None = None) -> CallPage:
        try:
            return await asyncio.to_thread(self._archive.calls, wanted, limit, after)
        except ArchiveError as error:
            raise NoAnswerError(str(error)) from None

    async def call(self, key: str) -> CallHistory | None:
        try:
            return await asyncio.to_thread(self._archive.call, key)
        except ArchiveError as error:
            raise NoAnswerError(str(error)) from None

    async def find(self, part: str, limit: int) -> list[str]:
        try:
            return await asyncio.to_thread(self._archive.find, part, None, limit)
        except ArchiveError as error:
            raise NoAnswerError(str(error)) from None

    async def alerts(self, wanted: AlertFilter, limit: int, after: str | None = None) -> RecordPage:
        try:
            return await asyncio.to_thread(self._archive.alerts, wanted, limit, after)
        except ArchiveError as error:
            raise NoAnswerError(str(error)) from None

    async def close(self) -> None:
        await asyncio.to_thread(self._archive.close)
