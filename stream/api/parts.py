"""What the routes work with, made once by the role, or by a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection

from stream.api.access.caller import Callers
from stream.api.archive_reads import ArchiveReads
from stream.api.live.feed import LiveFeed
from stream.service.metrics.api import ApiMetrics
from stream.service.tables.api_settings import ApiFields


@dataclass(frozen=True)
class ApiParts:
    """- `archive`: what reads the archive; only through `reads`, which runs it in threads.
    - `live`: what live streams are read from; None: there are none.
    """

    archive: Any
    settings: ApiFields
    metrics: ApiMetrics
    callers: Callers
    reads: ArchiveReads
    live: LiveFeed | None = None


def parts_of(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiParts:
    """Those of the app that answers a request."""
    found: ApiParts = connection.app.state.parts
    return found
