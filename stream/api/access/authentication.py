"""Authentication as a part of each route: a route is closed unless it says that it is public."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType

from stream.api.access.caller import Caller, Callers
from stream.api.access.rate_limit import RequestLimit
from stream.api.problems import Refused

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

PUBLIC = "public"
"""`opt={PUBLIC: True}` of a route, a router or a controller: no token is needed."""

OPEN = {PUBLIC: True}


class Authentication:
    """Middleware: sets `scope["user"]` to the Caller, or refuses the request."""

    def __init__(
        self,
        app: ASGIApp,
        callers: Callers,
        limit: RequestLimit,
        refused: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refused`: is told the reason of each refusal."""
        self._app = app
        self._callers = callers
        self._limit = limit
        self._refused = refused
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and not is_open(scope):
            try:
                scope["user"] = self._admitted(scope)
            except Refused as error:
                self._refused(error.kind)
                raise
        await self._app(scope, receive, send)

    def _admitted(self, scope: HTTPScope) -> Caller:
        caller = self._callers.of_request(scope)
        wait_s = self._limit.wait_s(caller.name, self._clock())
        if wait_s:
            raise Refused(
                429,
                "This token has sent too many requests.",
                kind="rate_limited",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
        return caller


def is_open(scope: HTTPScope) -> bool:
    """Whether the request needs no token. `OPTIONS` tells the methods of a path, and nothing else."""
    return bool(scope["route_handler"].opt.get(PUBLIC)) or scope["method"] == "OPTIONS"


def caller_of(connection: ASGIConnection) -> Caller:  # type: ignore[type-arg]
    """The caller of a request whose route is not public."""
    caller: Caller = connection.scope["user"]
    return caller
