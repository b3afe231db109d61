"""The files that hold tokens are read again when they change, so that a token can be taken back.

A file that cannot be used changes nothing, nor does one without a token: without any, this machine could ask
for everything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stream.api.app import tokens_of
from stream.service.errors import describe
from stream.service.settings import ApiSettings
from stream.service.tables.api_tokens import ApiToken, read_tokens

CHECK_S = 2.0

FIELDS: Mapping[str, Callable[[str], Any]] = {"api_token": str, "api_tokens": read_tokens}
"""The settings whose files are read again, and how their text is parsed."""


class UnusableTokensError(Exception):
    """The files cannot be used. The message says why, and holds no token."""


log = logging.getLogger("callstream.api")


class TokenFiles:
    """`files`: by the field of the setting. `use`: is given the tokens; `told`: whether a file was used."""

    def __init__(
        self,
        chosen: ApiSettings,
        files: Mapping[str, Path],
        use: Callable[[Sequence[ApiToken]], None],
        told: Callable[[bool], None],
    ) -> None:
        self._chosen = chosen
        self._files = files
        self._use = use
        self._told = told
        self._tokens = tokens_of(chosen)
        self._trouble: str | None = None
        """Why the files cannot be used; None if they are."""

    async def run(self) -> None:
        """Look at the files until cancelled."""
        seen = read = None
        while True:
            await asyncio.sleep(CHECK_S)
            now = await asyncio.to_thread(self._versions)
            # One that is being written is read when it rests. What could not be read may be readable now.
            if now == seen and (now != read or self._trouble is not None):
                read = now
                await self._read()
            seen = now

    async def _read(self) -> None:
        try:
            tokens = await asyncio.to_thread(self._all_tokens)
        except UnusableTokensError as error:
            if str(error) != self._trouble:
                log.error("the tokens stay as they were: %s", error)
            self._trouble = str(error)
            self._told(False)
            return
        if tokens != self._tokens or self._trouble is not None:
            log.info("tokens read again: there are %d", len(tokens))
            self._use(tokens)
        self._tokens, self._trouble = tokens, None
        self._told(True)

    def _all_tokens(self) -> tuple[ApiToken, ...]:
        """Raises UnusableTokensError."""
        values = {}
        for name, path in self._files.items():
            try:
                values[name] = FIELDS[name](path.read_text().strip())
            except (OSError, UnicodeDecodeError) as error:
                raise UnusableTokensError(f"{path} cannot be read: {describe(error)}") from None
            except ValueError as error:
                raise UnusableTokensError(f"{path} {error}") from None
        tokens = tokens_of(replace(self._chosen, **values))
        if not tokens:
            raise UnusableTokensError(f"{', '.join(map(str, self._files.values()))}: no token is in it")
        return tokens

    def _versions(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(_version, self._files.values()))


def _version(path: Path) -> tuple[int, ...]:
    """Changes with the file; empty where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size
