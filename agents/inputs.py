"""The Faust agents, one for each topic that comes in. All records of a call go to the same partition lane."""

from __future__ import annotations

from typing import Any

from stream.faust_bridge.app import LanesApp
from stream.kafka.topics import Topics


def declare(app: LanesApp, names: Topics) -> None:
    """Have `app` consume its sources."""

    @app.agent(app.source(names.callbacks))  # type: ignore[untyped-decorator]
    async def callbacks(stream: Any) -> None:
        """The providers' callbacks, as the gateway wrote them."""
        await app.feed_lanes(stream)

    @app.agent(app.source(names.polled))  # type: ignore[untyped-decorator]
    async def polled(stream: Any) -> None:
        """Rows and results of the poller."""
        await app.feed_lanes(stream)

    @app.agent(app.source(names.ticks))  # type: ignore[untyped-decorator]
    async def ticks(stream: Any) -> None:
        """Time as records: a tick settles what is due in its partition."""
        await app.feed_lanes(stream)
