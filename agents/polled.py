"""The other first step: rows that were polled go to the same lane as the callbacks of their call."""

from __future__ import annotations

from typing import Any

from stream.faust_bridge.app import LanesApp


def declare(app: LanesApp, topic: str) -> None:
    """Have `app` consume `topic`."""

    @app.agent(app.lanes.topic(topic))  # type: ignore[untyped-decorator]
    async def polled(batches: Any) -> None:
        async for batch in batches.noack().events():
            app.lanes.put(batch)
