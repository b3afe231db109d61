"""The Faust agents, one for each topic that comes in. All records of a call go to the same partition lane."""

from __future__ import annotations

from typing import Any

from stream.faust_bridge.app import LanesApp
from stream.kafka.topics import Topics


def declare(app: LanesApp, names: Topics) -> None:
    """Have `app` consume its sources."""

    async def feed(stream: Any) -> None:
        async for event in stream.noack().events():
            app.lanes.put(event.message.value)

    @app.agent(app.source(names.callbacks))  # type: ignore[untyped-decorator]
    async def callbacks(stream: Any) -> None:
        """The providers' callbacks, as the gateway wrote them."""
        await feed(stream)

    @app.agent(app.source(names.polled))  # type: ignore[untyped-decorator]
    async def polled(stream: Any) -> None:
        """Rows and results of the poller."""
        await feed(stream)

    @app.agent(app.source(names.ticks))  # type: ignore[untyped-decorator]
    async def ticks(stream: Any) -> None:
        """Time as records: a tick settles what is due in its partition."""
        await feed(stream)
