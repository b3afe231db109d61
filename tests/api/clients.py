"""A client of the API, with tokens, over an archive that a test has made."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from litestar.testing import TestClient
from litestar.types import ControllerRouterHandler

from stream.api.access.caller import Callers
from stream.api.app import make_app, tokens_of
from stream.api.archive_reads import ArchiveReads
from stream.api.parts import ApiParts
from stream.service.metrics.api import ApiMetrics
from stream.service.settings import ApiSettings
from stream.service.tables.api_tokens import line_of, read_tokens

ACCOUNT_A, ACCOUNT_B = "AC" + "a" * 32, "AC" + "b" * 32

READ_A, READ_B, NUMBERS_A, ALL = "token-of-a", "token-of-b", "token-of-a-with-numbers", "token-of-all"
TOKENS = (
    line_of("a", ["read"], [ACCOUNT_A], READ_A),
    line_of("b", ["read"], [ACCOUNT_B], READ_B),
    line_of("a-numbers", ["read", "read:numbers"], [ACCOUNT_A], NUMBERS_A),
    line_of("all", ["read", "read:numbers"], [], ALL),
)


def parts(archive: Any = None, **settings: Any) -> ApiParts:
    """What the app works with. Without `api_tokens` in `settings`, it has those above."""
    chosen = ApiSettings(**{"api_tokens": read_tokens("\n".join(TOKENS)), **settings})
    metrics = ApiMetrics()
    reads = ArchiveReads(2, chosen.api_archive_timeout_s, metrics.archive_read)
    return ApiParts(archive, chosen, metrics, Callers(tokens_of(chosen)), reads)


def client(
    archive: Any = None, routes: Sequence[ControllerRouterHandler] = (), **settings: Any
) -> TestClient[Any]:
    """A client; `with` starts and ends the app."""
    return TestClient(make_app(parts(archive, **settings), routes), raise_server_exceptions=False)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}
