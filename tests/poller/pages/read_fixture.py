"""A fake provider with all that a read of it needs, and the rows and pages that it returns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

from stream.kafka.envelope_codec import read_envelope
from stream.poller.pages.client import PageClient
from stream.poller.pages.paged_read import CALL_LIMITS, PagedRead, ReadLimits, ReadResult
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from tests.poller.accounts import ACCOUNT_SID, CALL_SID, LEG, SECRETS, telnyx, twilio
from tests.poller.fake_provider import (
    FakeProvider,
    OpenLimiter,
    RecordingMetrics,
    RecordingWriter,
    Reply,
    fake_provider,
)

EVENTS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}/Events.json"
FIRST = f"{EVENTS}?PageSize=1000"
EVENTS_OF_A_CALL = RESOURCES["twilio_call_event"]
RECEIVED_US = 1_772_445_600_000_001


@dataclass
class ReadSetup:
    """A provider, and all that a read of it needs."""

    provider: FakeProvider
    client: PageClient
    limiter: OpenLimiter = field(default_factory=OpenLimiter)
    writer: RecordingWriter = field(default_factory=RecordingWriter)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)
    pauses: list[float] = field(default_factory=list)
    chance: float = 0.5
    known: str | None = None

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def read(
        self,
        resource: Resource,
        account: Account,
        url: str,
        limits: ReadLimits = CALL_LIMITS,
        priority: str = "terminal",
    ) -> ReadResult:
        return await PagedRead(
            resource=resource,
            account=account,
            first_url=url,
            client=self.client,
            metrics=self.metrics,
            limiter=self.limiter,  # type: ignore[arg-type]
            priority=priority,
            limits=limits,
            write=self.writer.write,
            known=self.known,
            random=lambda: self.chance,
            sleep=self.sleep,
            now_us=lambda: RECEIVED_US,
        ).run()

    async def events(
        self, limits: ReadLimits = CALL_LIMITS, resource: Resource = EVENTS_OF_A_CALL
    ) -> ReadResult:
        """Read the Call Events of the call."""
        account = twilio(self.provider.url, f"{self.provider.url}/insights")
        return await self.read(resource, account, resource.url_of_call(account, CALL_SID, None), limits)

    async def leg_events(self) -> ReadResult:
        account = telnyx(f"{self.provider.url}/v2")
        url = RESOURCES["telnyx_call_event"].url_of_call(account, LEG, None)
        return await self.read(RESOURCES["telnyx_call_event"], account, url)

    @property
    def bodies(self) -> list[bytes]:
        found = []
        for row in self.writer.rows:
            start = row.value.index(b'"body":') + 7
            end = row.value.rfind(b',"ordinal":')
            found.append(row.value[start : end if end > start else -1])
        return found

    @property
    def ordinals(self) -> list[int]:
        return [read_envelope(row.value).ordinal for row in self.writer.rows]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [
            (letter.reason, dict(letter.headers)["error"].decode()) for letter in self.writer.dead_letters
        ]


@asynccontextmanager
async def read_setup(**bounds: float) -> AsyncIterator[ReadSetup]:
    async with fake_provider() as provider, PageClient(**bounds) as client:  # type: ignore[arg-type]
        yield ReadSetup(provider, client)


def no_secrets_in(*things: object) -> None:
    text = "".join(repr(thing) for thing in things)
    assert not [secret for secret in SECRETS if secret in text]


def row(number: int) -> bytes:
    return (
        b'{"request":{"url":"https://hooks.example.test/%d","parameters":{"n":1.10}},"response":null}'
        % number
    )


def page(*rows: bytes, onwards: str | None = None) -> Reply:
    return Reply(
        200, b'{"events":[' + b" , ".join(rows) + b'],"next_page_uri":' + orjson.dumps(onwards) + b"}"
    )
