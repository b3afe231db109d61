"""Reads the archive's database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

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

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class ArchiveCallReader:
    """Reads the archive's database, in threads. `mend`: what to check where it does not answer."""

    def __init__(self, archive: Archive, where: str, mend: str = "") -> None:
        self._archive = archive
        self.where = where
        self._mend = mend

    async def calls(self, wanted: CallFilter, limit: int, after: str | None = None) -> CallPage:
        return await self._ask(self._archive.calls, wanted, limit, after)

    async def call(self, key: str) -> CallHistory | None:
        return await self._ask(self._archive.call, key)

    async def find(self, part: str, limit: int) -> list[str]:
        return await self._ask(self._archive.find, part, None, limit)

    async def alerts(self, wanted: AlertFilter, limit: int, after: str | None = None) -> RecordPage:
        return await self._ask(self._archive.alerts, wanted, limit, after)

    async def close(self) -> None:
        await asyncio.to_thread(self._archive.close)

    async def _ask(
        self, question: Callable[Arguments, Answer], *values: Arguments.args, **named: Arguments.kwargs
    ) -> Answer:
        try:
            return await asyncio.to_thread(question, *values, **named)
        except ArchiveError as error:
            raise NoAnswerError(f"{error}{self._mend}") from None
