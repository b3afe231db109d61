"""Reads the archive's database."""

from __future__ import annotations

import asyncio

from stream.archive.questions import (
    AlertFilter,
    ArchiveError,
    CallFilter,
    CallHistory,
    CallPage,
    RecordPage,
)
from stream.archive.reader import Archive
from stream.cli.query.reader import NoAnswerError


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
