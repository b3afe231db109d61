"""The Faust agents, one for each topic that comes in. All records of a call go to the same partition lane."""

from __future__ import annotations

from typing import Any

from stream.faust_bridge.app import LanesApp
from stream.kafka.topics import Topics


def declare(app: LanesApp, names: Topics) -> None:
    """Have `app` consume its sources."""

    async def hand_to_lanes(stream: Any) -> None:
        async for event in stream.noack().events():
            app.lanes.put(event.message.value)

    # The providers' callbacks, as the gateway wrote them.
    app.agent(app.source(names.callbacks), name="callbacks")(hand_to_lanes)
    # Rows and results of the poller.
    app.agent(app.source(names.polled), name="polled")(hand_to_lanes)
    # Time as records: a tick settles what is due in its partition.
    app.agent(app.source(names.ticks), name="ticks")(hand_to_lanes)
