"""`/v1/live`: server-sent events, which resume where a client was (`Last-Event-ID`)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream
from litestar.response.sse import ServerSentEventMessage
from litestar.types import ControllerRouterHandler

from stream.api.access.authentication import caller_of
from stream.api.live import positions
from stream.api.live.feed import MOST_MISSED, LiveFeed
from stream.api.live.selection import KINDS, LiveRecord, LiveSelection
from stream.api.live.subscription import Ending, LiveSubscription
from stream.api.numbers import audit
from stream.api.parts import parts_of
from stream.api.problems import documented, unavailable
from stream.api.questions.filters import (
    LONGEST,
    PRINTABLE,
    Account,
    AskedFault,
    AskedOutcome,
    AskedSeverity,
    AskedStatus,
    Provider,
    allowed,
    repeated,
)
from stream.api.questions.known_parameters import only_known
from stream.kafka.errors import BROKER_AWAY, OffsetOutOfRangeError
from stream.service.metrics.api import ApiMetrics

HEARTBEAT_S = 15.0
CATCH_UP_S = 60.0
"""For what was missed, which few clients read at once. One that is slower resumes where it is."""

RETRY_MS = 3000
MOST_AUDITED = 10_000
"""Calls of a stream that are remembered, so that each is logged once."""

STREAM = "text/event-stream"

REASONS = {
    "slow": "Too many records wait for this client: read faster, or filter. Resume with Last-Event-ID.",
    "stopping": "This server stops. Resume with Last-Event-ID.",
    "revoked": "The token was taken back or changed.",
    "away": "Kafka does not answer: what was missed cannot be read now. Resume with Last-Event-ID.",
    "lost": "The records behind this position are gone. Ask the archive, and begin anew.",
}
"""Why a stream ends, as its last message says it."""

GAPS = {
    "unusable": "The Last-Event-ID is not one of this stream. It begins now.",
    "too_many": f"More than {MOST_MISSED} records were missed: ask /v1/calls. It goes on now.",
    "gone": "Records that were missed are no longer in Kafka: ask /v1/calls. It goes on now.",
}
"""Why records are left out, as a message says it."""


@get(
    "/live",
    operation_id="followLive",
    tags=["live"],
    media_type=STREAM,
    responses={
        **documented(400),
        200: ResponseSpec(
            str,
            description="Server-sent events: `event`, `call` (a call record) and `alert`, with the record as "
            "JSON; `gap` where records are left out; `end` before the stream is cut off, with the reason.",
            media_type=STREAM,
            generate_examples=False,
        ),
    },
)
async def follow(
    request: Request[Any, Any, Any],
    kind: Annotated[
        list[Literal["event", "call", "alert"]] | None, repeated("What is followed; all without it.")
    ] = None,
    account: Account = None,
    provider: Provider = None,
    key: Annotated[
        str | None, QueryParameter(description="Of one call.", max_length=LONGEST, pattern=PRINTABLE)
    ] = None,
    status: Annotated[list[AskedStatus] | None, repeated("The status in it.")] = None,
    outcome: Annotated[list[AskedOutcome] | None, repeated("The outcome in it.")] = None,
    fault: Annotated[list[AskedFault] | None, repeated("The fault of a verdict in it.")] = None,
    family: Annotated[list[str] | None, repeated("Of an event.")] = None,
    level: Annotated[
        list[Literal["debug", "info", "warning", "error"]] | None, repeated("Of an event.")
    ] = None,
    severity: Annotated[list[AskedSeverity] | None, repeated("Of an alert.")] = None,
    rule: Annotated[list[str] | None, repeated("The id of an alert's rule.")] = None,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(
            name="Last-Event-ID",
            description="The id of the last message that was received.",
            max_length=positions.LONGEST,
        ),
    ] = None,
) -> Stream:
    """Events, call records and alerts as they are written. A filter lets through what has its value."""
    feed = parts_of(request).live
    if feed is None:
        raise unavailable("Live streams are not served here.", 60)
    fields: dict[str, Iterable[str] | None] = {
        "provider": [provider] if provider else None,
        "key": [key] if key else None,
        "status": status,
        "outcome": outcome,
        "fault": fault,
        "family": family,
        "level": level,
        "severity": severity,
        "rule": rule,
    }
    selection = LiveSelection(
        caller=caller_of(request),
        kinds=frozenset(kind or KINDS),
        accounts=None if account is None else allowed(account, caller_of(request)),
        fields={name: frozenset(values) for name, values in fields.items() if values},
    )
    await feed.connect(last_event_id)
    stream = LiveStream(feed, selection, parts_of(request).metrics)
    # Not "Connection: keep-alive", which is the server's to say. Proxies must not collect what is sent.
    return Stream(stream.messages(last_event_id), media_type=STREAM, headers={"X-Accel-Buffering": "no"})


class LiveStream:
    """The messages to one client."""

    def __init__(self, feed: LiveFeed, selection: LiveSelection, metrics: ApiMetrics) -> None:
        self._feed = feed
        self._selection = selection
        self._metrics = metrics
        self._audited: set[str] = set()

    async def messages(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """All of them, until the client leaves or is cut off."""
        reason = "left"
        try:
            with self._feed.subscription(self._selection) as subscription:
                self._metrics.live(self._feed.subscribers)
                async for message in self._all(subscription, last_event_id):
                    yield message
                reason = subscription.ending or reason
        finally:
            self._metrics.live(self._feed.subscribers, reason)

    async def _all(self, subscription: LiveSubscription, last_event_id: str | None) -> AsyncIterator[bytes]:
        joined = self._feed.text_of(subscription.joined)
        gap = None
        if last_event_id:
            since = self._feed.read_position(last_event_id)
            missed = self._feed.count_between(since, subscription.joined) if since is not None else 0
            if since is None or self._feed.is_behind(since):
                gap = "unusable"
            elif missed > MOST_MISSED:
                gap = "too_many"
            elif missed:
                yield _message(id=last_event_id, retry=RETRY_MS)
                until_s = 0.0
                try:
                    async with aclosing(self._feed.missed(since, subscription.joined)) as records:
                        async for record in records:
                            if subscription.ending == "revoked":
                                break
                            if self._selection.admits(record):
                                yield self._of(record)
                            until_s = until_s or time.monotonic() + CATCH_UP_S
                            if time.monotonic() > until_s:
                                subscription.end("slow")
                                yield _message(comment="", id=record.position)
                                yield _end("slow")
                                return
                except OffsetOutOfRangeError:
                    gap = "gone"
                except BROKER_AWAY:
                    # Not on from now: what was missed is still there, behind the id that the client has.
                    subscription.end("away")
                    yield _end("away")
                    return
        if gap is not None:
            yield _message(event="gap", data=_json(gap, GAPS[gap]), id=joined, retry=RETRY_MS)
        else:
            yield _message(id=joined, retry=RETRY_MS)
        while True:
            found = await subscription.next(HEARTBEAT_S)
            if found is not None:
                yield self._of(found)
            elif subscription.ending is not None:
                yield _end(subscription.ending)
                return
            else:
                yield _message(comment="", id=self._feed.position)

    def _of(self, record: LiveRecord) -> bytes:
        caller = self._selection.caller
        if caller.reads_numbers and record.key not in self._audited:
            if audit(caller, [(record.key, record.value)]):
                self._audited.add(record.key)
            if len(self._audited) > MOST_AUDITED:
                self._audited.clear()
        return _message(event=record.kind, data=record.json(caller), id=record.position)


def _message(
    *,
    event: str | None = None,
    data: bytes | None = None,
    id: str | None = None,  # noqa: A002  its name in the standard
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    return ServerSentEventMessage(
        data=data, event=event, id=id, retry=retry, comment=comment, sep="\n"
    ).encode()


def _end(why: Ending) -> bytes:
    return _message(event="end", data=_json(why, REASONS[why]))


def _json(reason: str, detail: str) -> bytes:
    return msgspec.json.encode({"reason": reason, "detail": detail})


def routes() -> Sequence[ControllerRouterHandler]:
    return [Router("/v1", route_handlers=[follow], guards=[only_known])]
