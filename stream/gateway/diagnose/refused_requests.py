"""Refused requests: diagnosed off the request path, one at a time and rarely, and kept as findings.

A flood costs the gateway next to nothing: an offer only keeps the newest request of its kind, and a diagnosis
runs in a thread, at most one in EVERY_S. A request stays in memory until then. What remains of it is a
finding: a log line, and a line of a file that `callstream doctor` reads.

A finding holds no body, no header's value, no number and no secret. Its file is for its owner only, holds at
most KEPT findings, and is replaced as a whole, so that a reader sees either the old or the new one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from stream.core.events import UNDECODABLE
from stream.core.timestamps import utc
from stream.gateway.diagnose.signature_doctor import diagnose
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import ParsedRequest, clean_text
from stream.service import data_dir
from stream.service.data_dir import DataDirError
from stream.service.errors import for_operator

EVERY_S = 5.0
KINDS_LIMIT = 15
"""Waiting requests, one of each kind: a flood of one kind does not hide the others. There is room for each
reason at each route, so a flood of several kinds hides none either.
"""

LOG_AGAIN_S = 300.0
"""A finding is logged again after this time, while requests are still refused for it."""

DIAGNOSED = frozenset(
    {"missing_signature", "bad_signature", "stale_timestamp", "unknown_account", "wrong_method"}
)
"""The reasons that a setting, here or at the provider, may mend."""

KEPT = 50
SHOWN_LIMIT = 100
"""Characters of a path that are shown."""

_UNSHOWN = re.compile(r"[^!-~]")
_NUMBER = re.compile(r"[0-9]{5,}")
_AGE = re.compile(r"[0-9]+ s ")

log = logging.getLogger("callstream.gateway")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One diagnosis; `times`: how often it was made, `time`: when its newest request was received (UTC)."""

    time: str
    path: str
    provider: str
    reason: str
    sentence: str
    settings: tuple[str, ...] = ()
    times: int = 1

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Equal for findings that say the same: the age of each request makes no difference."""
        return self.path, self.provider, self.reason, _AGE.sub("", self.sentence)


def findings_file(data_dir: Path) -> Path:
    return data_dir / "gateway" / "refused.jsonl"


def shown_path(path: str) -> str:
    """A path as it may be shown: plain characters, and no number that somebody put into it."""
    text = _NUMBER.sub("***", _UNSHOWN.sub("?", clean_text(path)))
    return text if len(text) <= SHOWN_LIMIT else text[:SHOWN_LIMIT] + "…"


def read_findings(file: Path, *, to_show: bool = False) -> list[Finding]:
    """The findings, the newest last, without unreadable lines; none without a file. Raises OSError.

    - `to_show`: as in `data_dir.read`.
    """
    try:
        lines = data_dir.read(file, to_show=to_show).splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines[-KEPT:]:
        try:
            found.append(msgspec.json.decode(line, type=Finding))
        except UNDECODABLE:  # damaged, or of another version
            continue
    return found


def add_finding(file: Path, finding: Finding) -> None:
    """Adds one, or counts it where it is known already. Raises DataDirError."""
    with data_dir.file_errors(file.parent):
        known = read_findings(file)
        times = finding.times + sum(one.times for one in known if one.identity == finding.identity)
        kept = [one for one in known if one.identity != finding.identity]
        kept.append(msgspec.structs.replace(finding, times=times))
        if len(kept) > KEPT:
            # The oldest of the most frequent kind, which may have a sentence for each account that it names:
            # so one sender who is refused in many variants does not push out the findings about others.
            kinds = Counter(one.identity[:3] for one in kept)
            kept.remove(max(kept, key=lambda one: kinds[one.identity[:3]]))  # the first of several
        file.parent.mkdir(mode=data_dir.PRIVATE, parents=True, exist_ok=True)
        for directory in (file.parent.parent, file.parent):
            data_dir.check_owner(directory)
        fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.writelines(msgspec.json.encode(one) + b"\n" for one in kept[-KEPT:])
        fresh.replace(file)


class _Waiting(NamedTuple):
    parsed: ParsedRequest
    route: str
    reason: str
    now_s: float


class RefusedRequests:
    """The queue before the signature doctor. `offer` from the event loop's thread; `run` is a task."""

    def __init__(self, credentials: GatewayCredentials, data_dir: Path, *, every_s: float = EVERY_S) -> None:
        self._credentials = credentials
        self._file = findings_file(data_dir)
        self._every_s = every_s
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._offered = asyncio.Event()
        self._not_logged = 0
        self._logged: list[tuple[Finding, float]] = []
        self._file_fails = False
        self._failure_logged_s = -math.inf

    def offer(self, parsed: ParsedRequest, route: str, reason: str, now_s: float) -> None:
        """Queues a refused request; `now_s`: when it was received, in Unix time. Never waits.

        `route`: of the server. However a path is spelled, its route is the same kind.
        """
        if reason not in DIAGNOSED:
            return
        self._not_logged += 1
        kind = (reason, route)
        if kind in self._waiting or len(self._waiting) < KINDS_LIMIT:
            self._waiting[kind] = _Waiting(parsed, route, reason, now_s)
        self._offered.set()

    async def run(self) -> None:
        """Diagnoses what was offered, until it is cancelled."""
        while True:
            await self._offered.wait()
            one = self._waiting.pop(next(iter(self._waiting)))
            if not self._waiting:
                self._offered.clear()
            try:
                self._log(await asyncio.to_thread(self._find, one), one.now_s)
            except Exception as error:  # noqa: BLE001  # the doctor's own fault must not reach the gateway
                if abs(one.now_s - self._failure_logged_s) >= LOG_AGAIN_S:
                    self._failure_logged_s = one.now_s
                    log.error("The signature doctor failed on a refused request: %s", type(error).__name__)
            del one  # nothing of the request is left during the pause
            await asyncio.sleep(self._every_s)

    def _find(self, one: _Waiting) -> Finding:
        """In a thread: the diagnosis, kept in the file."""
        found = diagnose(one.parsed, self._credentials, one.now_s)
        finding = Finding(
            time=utc(int(one.now_s * 1_000_000)),
            path=shown_path(one.route),
            provider=one.parsed.provider,
            reason=one.reason,
            sentence=found.sentence,
            settings=found.settings,
        )
        try:
            add_finding(self._file, finding)
        except DataDirError as error:
            if not self._file_fails:
                log.warning("What refused requests lack is not kept: %s", for_operator(error))
            self._file_fails = True
        else:
            self._file_fails = False
        return finding

    def _log(self, finding: Finding, now_s: float) -> None:
        # A clock that was set back must not silence a finding until it is there again.
        self._logged = [(one, at_s) for one, at_s in self._logged if abs(now_s - at_s) < LOG_AGAIN_S]
        if any(one.identity == finding.identity for one, _ in self._logged):
            return
        self._logged = [*self._logged[1 - KEPT :], (finding, now_s)]
        settings = ", ".join(setting for setting in finding.settings if setting not in finding.sentence)
        log.warning(
            "A request of %s at %s was refused (%s): %s%s%s",
            finding.provider,
            finding.path,
            finding.reason,
            finding.sentence,
            f" The setting is {settings}." if settings else "",
            f" {self._not_logged - 1} more were refused since the last such line."
            if self._not_logged > 1
            else "",
        )
        self._not_logged = 0
