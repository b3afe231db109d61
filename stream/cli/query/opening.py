"""Runs a command's questions: opens what is read, and turns what goes wrong into an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from stream.archive.questions import ArchiveError, BadCursorError
from stream.cli.query.reader import CallReader, NoAnswerError
from stream.cli.support.exit_codes import MISUSE, NO_ARCHIVE
from stream.cli.support.terminal import Fault, Misuse
from stream.service import settings

CANDIDATES = 10
"""Keys that are named where a part of an id is of several calls."""

SHORTEST = 3
MOST_FOUND = 500

_SQLITE = "sqlite:///"
_MEND = ": does its database run, and is CALLSTREAM_ARCHIVE_URL right?"

Result = TypeVar("Result")


def asked(job: Callable[[CallReader], Awaitable[Result]], *, as_json: bool = False) -> Result:
    """What the job comes to, with a reader as the settings say."""
    try:
        chosen = settings.load()
    except settings.SettingsError as error:
        raise Fault(str(error), MISUSE, as_json=as_json) from None
    try:
        return asyncio.run(_asked(chosen, job))
    except NoAnswerError as error:
        raise Fault(str(error), NO_ARCHIVE, as_json=as_json) from None
    except BadCursorError as error:
        raise Misuse(f"--after: {error}") from None


async def _asked(chosen: settings.Settings, job: Callable[[CallReader], Awaitable[Result]]) -> Result:
    async with opened_reader(chosen) as reader:
        return await job(reader)


@asynccontextmanager
async def opened_reader(chosen: settings.Settings) -> AsyncIterator[CallReader]:
    """The query API of the settings, else the archive. Only what is read with is imported: it takes longer
    than the question.
    """
    reader: CallReader
    if chosen.api_url:
        from stream.cli.query.api_reader import ApiCallReader

        reader = ApiCallReader(chosen.api_url, chosen.api_token)
    else:
        reader = archive_reader(chosen)
    try:
        yield reader
    finally:
        await reader.close()


def archive_reader(chosen: settings.Settings, *, awaited: bool = False) -> CallReader:
    """Reads the archive itself. Raises NoAnswerError.

    - `awaited`: a file that is not there yet will be; until then the reader's questions raise.
    """
    from stream.archive.database import archive_url
    from stream.archive.reader import open_archive
    from stream.cli.query.archive_reader import ArchiveCallReader

    url = archive_url(chosen.archive_url, chosen.data_dir)
    file = url.removeprefix(_SQLITE)
    if url.startswith(_SQLITE) and not awaited and not Path(file).is_file():
        raise NoAnswerError(
            f"there is no archive at {file}: start `callstream up` here, or set CALLSTREAM_API_URL or "
            "CALLSTREAM_ARCHIVE_URL"
        )
    # Another URL has a password in it.
    where, mend = (file, "") if url.startswith(_SQLITE) else ("the archive", _MEND)
    try:
        return ArchiveCallReader(open_archive(url, chosen.privacy_key), where, mend)
    except ArchiveError as error:
        raise NoAnswerError(str(error)) from None


async def key_of(reader: CallReader, part: str, *, as_json: bool = False) -> str:
    """The key of the only call whose key or id contains the part.

    An id that a table has shortened (`CA8680…1def1`) is taken as its beginning and its end. Raises Fault.
    """
    first, _, last = part.replace("...", "…").partition("…")
    # The end of an id says more than its beginning, which is the same for all of a provider.
    asked = last if len(last) >= SHORTEST else first
    if len(asked) < SHORTEST:
        raise Misuse(f"{part} is too short: a part of an id has {SHORTEST} characters or more")
    found = await reader.find(asked, CANDIDATES + 1 if not last else MOST_FOUND)
    if last:
        first, last = first.lower(), last.lower()
        found = [key for key in found if key.lower().endswith(last) and first in key.lower()]
    if not found:
        raise Fault(f"no call has {part} in its id", as_json=as_json)
    if len(found) > 1:
        named = found[:CANDIDATES]
        more = ["and more"] if len(found) > CANDIDATES else []
        says = "\n  ".join([f"{part} is a part of several ids:", *named, *more])
        raise Fault(says, MISUSE, as_json=as_json, candidates=" ".join(named))
    return found[0]
