"""Fetch requests that were taken: where their records lie, what their reads have come to, and the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from stream.core.fetches import FETCH_RESULT, FetchRead, FetchRequest, FetchResult, ReadOutcome
from stream.kafka.client.offsets import Offsets
from stream.kafka.envelope_codec import write_envelope
from stream.poller.pages.paged_read import ReadResult


class PendingRequest:
    """A request, where its record lies, and what its reads have come to."""

    def __init__(self, request: FetchRequest, offsets: Offsets, offset: int) -> None:
        self.request = request
        self.results: dict[FetchRead, ReadResult] = {}
        self._open = set(request.reads)
        self._offsets = offsets
        self._offset = offset

    def close(self, read: FetchRead, result: ReadResult | None) -> bool:
        """A read has ended; None: a newer request asks for it. True if it was the last one."""
        self._open.discard(read)
        if result is not None:
            self.results[read] = result
        return not self._open

    def done(self) -> None:
        """Its record need not be read again."""
        self._offsets.done(self._offset)


class PendingRead(NamedTuple):
    """One read of a request."""

    pending: PendingRequest
    read: FetchRead

    @property
    def request(self) -> FetchRequest:
        return self.pending.request


def result_value(request: FetchRequest, results: Mapping[FetchRead, ReadResult], now_us: int) -> bytes:
    """The envelope that is written behind the rows, under the call's key."""
    result = FetchResult(
        fetch_id=request.id,
        key=request.key,
        reason=request.reason,
        attempt=request.attempt,
        reads=[
            ReadOutcome(read.source, read.edge, came.outcome, came.rows, came.complete, came.content)
            for read, came in results.items()
        ],
    )
    return write_envelope(
        FETCH_RESULT,
        msgspec.to_builtins(result),
        received_us=now_us,
        account=request.account,
        endpoint=None,
        delivery={},
    )
