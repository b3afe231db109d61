"""Time comes in as data: a tick goes to its partition's lane and settles what is due there."""

from __future__ import annotations

from typing import Any

from stream.faust_bridge.app import LanesApp


def declare(app: LanesApp, topic: str) -> None:
    """Have `app` consume `topic`."""

    @app.agent(app.lanes.topic(topic))  # type: ignore[untyped-decorator]
    async def ticks(batches: Any) -> None:
        async for batch in batches.noack().events():
            app.lanes.put(batch)
