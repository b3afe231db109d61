"""Refused requests: taken off the request path, diagnosed one at a time and rarely, then forgotten.

The rule of this file: it costs the gateway nothing that can be noticed. An offer only keeps the newest
request of its kind, whatever comes; a diagnosis is made in a thread, at most one in EVERY_S. A request is
held in memory until then, and what stays of it is the finding: a log line and a line of a file.
"""

from __future__ import annotations

import asyncio
import logging
import math
from pathlib import Path
from typing import NamedTuple

from stream.core.timestamps import utc
from stream.gateway.diagnose import diagnose, findings
from stream.gateway.diagnose.bodies import lenient_pairs
from stream.gateway.diagnose.findings import Finding, shown_path
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.refusal import Refusal
from stream.gateway.receive.request import WebhookRequest
from stream.gateway.receive.verification import provider_of
from stream.service.data_dir import DataDirError
from stream.service.errors import in_words

EVERY_S = 5.0
KINDS_LIMIT = 12
"""Requests that wait, each of another kind: a flood of one kind does not hide the others. There is room for
each reason at each route, so that a flood of several kinds hides none either.
"""

SAID_AGAIN_S = 300.0
"""What has been logged is logged again after so long, while requests are still refused for it."""

DIAGNOSED = frozenset({"missing_signature", "bad_signature", "stale_timestamp", "unknown_account"})
"""The reasons of `refusal.STATUSES` that a setting may mend."""

log = logging.getLogger("callstream.gateway")


class _Waiting(NamedTuple):
    request: WebhookRequest
    route: str
    reason: str
    now_s: float


class RefusedRequests:
    """The queue before the signature doctor. `offer` from the event loop's thread; `run` is a task."""

    def __init__(self, credentials: GatewayCredentials, data_dir: Path, *, every_s: float = EVERY_S) -> None:
        self._credentials = credentials
        self._file = findings.file_in(data_dir)
        self._every_s = every_s
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._offered = asyncio.Event()
        self._unsaid = 0
        self._said: list[tuple[Finding, float]] = []
        self._file_fails = False
        self._failed_s = -math.inf

    def offer(self, request: WebhookRequest, route: str, refused: Refusal, now_s: float) -> None:
        """Takes note of a refused request; `now_s`: when it was received, in Unix time. Never waits.

        `route`: by which it came. However its path was spelled, it makes no other kind.
        """
        if refused.reason not in DIAGNOSED:
            return
        self._unsaid += 1
        kind = (refused.reason, route)
        if kind in self._waiting or len(self._waiting) < KINDS_LIMIT:
            self._waiting[kind] = _Waiting(request, route, refused.reason, now_s)
        self._offered.set()

    async def run(self) -> None:
        """Diagnoses what was offered, until it is cancelled."""
        while True:
            await self._offered.wait()
            one = self._waiting.pop(next(iter(self._waiting)))
            if not self._waiting:
                self._offered.clear()
            try:
                self._say(await asyncio.to_thread(self._find, one), one.now_s)
            except Exception as error:  # noqa: BLE001  # a fault of the doctor's must not reach the gateway
                self._say_failed(type(error).__name__, one.now_s)
            del one  # while it waits, nothing of the request is left
            await asyncio.sleep(self._every_s)

    def _say_failed(self, error: str, now_s: float) -> None:
        if now_s - self._failed_s >= SAID_AGAIN_S:
            self._failed_s = now_s
            log.error("The signature doctor failed on a refused request: %s", error)

    def _find(self, one: _Waiting) -> Finding:
        """In a thread: the diagnosis, kept in the file."""
        request = one.request
        parameters = lenient_pairs(request.body) if request.is_form else None
        found = diagnose(request, self._credentials, one.now_s)
        finding = Finding(
            time=utc(int(one.now_s * 1_000_000)),
            path=shown_path(one.route),
            provider=provider_of(request, parameters),
            reason=one.reason,
            sentence=found.sentence,
            settings=found.settings,
        )
        self._keep(finding)
        return finding

    def _keep(self, finding: Finding) -> None:
        try:
            findings.add(self._file, finding)
        except DataDirError as error:
            if not self._file_fails:
                log.warning("What refused requests lack is not kept: %s", in_words(error))
            self._file_fails = True
        else:
            self._file_fails = False

    def _say(self, finding: Finding, now_s: float) -> None:
        self._said = [(one, at_s) for one, at_s in self._said if now_s - at_s < SAID_AGAIN_S]
        if any(one.what == finding.what for one, _ in self._said):
            return
        self._said = [*self._said[1 - findings.KEPT :], (finding, now_s)]
        settings = ", ".join(setting for setting in finding.settings if setting not in finding.sentence)
        log.warning(
            "A request of %s at %s was refused (%s): %s%s%s",
            finding.provider,
            finding.path,
            finding.reason,
            finding.sentence,
            f" The setting is {settings}." if settings else "",
            f" {self._unsaid - 1} more were refused since the last such line." if self._unsaid > 1 else "",
        )
        self._unsaid = 0
