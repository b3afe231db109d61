"""Who reads for the poller's parts: a request's call, a URL of a window, a call of a backfill.

The rule of this file: it joins a read to its account's door and to the shore, and says in the log what went
wrong, once for each account and source until it goes well again.
"""

from __future__ import annotations

import logging

from stream.core.fetches import ANSWERED, FetchRequest
from stream.polling.account import Account
from stream.polling.client import Client, InsecureUrlError
from stream.polling.gate import Gates, RefusedError
from stream.polling.landing import LandedPage
from stream.polling.observing import PollMetrics
from stream.polling.reading import CALL, WINDOW, Gate, Land, Reach, Read, read, url_of_call
from stream.polling.reads import Seen
from stream.polling.resource import Resource
from stream.polling.resources import RESOURCES
from stream.polling.shore import Shore

log = logging.getLogger("callstream.poller")


class Reader:
    """Reads of every kind, each through its account's door. All calls from the event loop's thread."""

    def __init__(self, client: Client, gates: Gates, shore: Shore, metrics: PollMetrics) -> None:
        self._client = client
        self._gates = gates
        self._shore = shore
        self._metrics = metrics
        self._troubled: dict[tuple[str, str], str] = {}

    async def request(self, request: FetchRequest, account: Account) -> Read:
        """What a fetch request asks for. It does not wait for credentials that are refused."""
        resource = RESOURCES[request.source]
        call_id = request.key.partition(":")[2]
        gate = self._gates.of(account).hasty()
        try:
            return await self._call(resource, account, call_id, request.edge, request.priority, gate)
        except RefusedError:
            return Read("auth_error", problem="the credentials are refused")

    async def call(
        self, resource: Resource, account: Account, call_id: str, edge: str | None, priority: str
    ) -> Read:
        """A call's resource, however long its turn takes to come."""
        return await self._call(resource, account, call_id, edge, priority, self._gates.of(account))

    async def url(
        self, resource: Resource, account: Account, url: str, priority: str, seen: Seen | None = None
    ) -> Read:
        """A window from its first page on; rows that were landed lately are not landed again."""

        async def land(page: LandedPage) -> None:
            await self._shore.land(page, remember=True)
            if seen is not None:
                seen([row.value for row in page.records])

        return await self._read(resource, account, url, priority, self._gates.of(account), WINDOW, land)

    async def _call(
        self,
        resource: Resource,
        account: Account,
        call_id: str,
        edge: str | None,
        priority: str,
        gate: Gate,
    ) -> Read:
        url = url_of_call(resource, account, call_id, edge)
        if isinstance(url, Read):
            return url
        return await self._read(resource, account, url, priority, gate, CALL, self._shore.land)

    async def _read(
        self,
        resource: Resource,
        account: Account,
        url: str,
        priority: str,
        gate: Gate,
        reach: Reach,
        land: Land,
    ) -> Read:
        try:
            done = await read(
                resource,
                account,
                url,
                client=self._client,
                gate=gate,
                priority=priority,
                land=land,
                metrics=self._metrics,
                reach=reach,
            )
        except InsecureUrlError as error:
            done = Read("client_error", problem=str(error))
        self._say(resource, account, done)
        return done

    def _say(self, resource: Resource, account: Account, done: Read) -> None:
        """In the log, when it begins to go wrong and when it goes well again."""
        what = (account.name, resource.source)
        if done.outcome in ANSWERED:
            if self._troubled.pop(what, None) is not None:
                log.info("%s of %s is read again", resource.source, account.name)
        elif self._troubled.get(what) != done.outcome:
            self._troubled[what] = done.outcome
            log.warning(
                "%s of %s cannot be read (%s): %s",
                *(resource.source, account.name, done.outcome, done.problem),
            )
