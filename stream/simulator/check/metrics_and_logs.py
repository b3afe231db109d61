"""What the roles tell beside their topics, for a search of it: expositions and logs.

The rule of this file: what is not there is not looked at, and what was is named. A log counts from where it
stood when the run began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from stream.simulator.check.leaks import LeakSearch

ANSWER_S = 5.0
LONGEST_BYTES = 64 * 1024 * 1024


class MetricsAndLogs:
    """`metrics`: URLs of expositions by role; `logs`: files that roles write to."""

    def __init__(self, metrics: Mapping[str, str], logs: Sequence[Path] = ()) -> None:
        self._metrics = dict(metrics)
        self._logs = {path: _size(path) for path in logs}

    async def look(self, search: LeakSearch) -> None:
        """Have all of it searched."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_S)) as http:
            for role, url in self._metrics.items():
                said = await _exposition(http, url)
                if said is not None:
                    search.text(f"the {role}'s metrics", said)
        for path, began in self._logs.items():
            search.text(path.name, await asyncio.to_thread(_written, path, began))


async def _exposition(http: aiohttp.ClientSession, url: str) -> bytes | None:
    try:
        async with http.get(url, allow_redirects=False, ssl=False) as answer:
            return await answer.read() if answer.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _written(path: Path, began: int) -> bytes:
    """What was written to a log since. One that is shorter than it was has begun anew."""
    if not path.exists():
        return b""
    with path.open("rb") as log:
        log.seek(began if _size(path) >= began else 0)
        return log.read(LONGEST_BYTES)
