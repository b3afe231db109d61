"""Candidate: a small job as Faust's guide writes it: one event at a time, a table, `await topic.send`.

Deduplicate by sequence number, remember the status, alert on a failed call. At least once only.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import faust
import orjson

from tests.bench.candidate import Meter, give_back, task

TASK = task()
NAME = TASK.prefix + "plain"

app = faust.App(
    NAME,
    broker="kafka://" + TASK.bootstrap,
    store=TASK.store + "://",
    datadir=TASK.directory,
    topic_partitions=TASK.partitions,
    consumer_auto_offset_reset="earliest",
    topic_allow_declare=False,
    topic_disable_leader=True,
    web_enabled=False,
)
callbacks = app.topic(TASK.topic, key_type=bytes, value_type=bytes, value_serializer="raw")
alerts = app.topic(NAME + "-alerts", key_type=bytes, value_serializer="json")
calls = app.Table("calls", partitions=TASK.partitions)

meter = Meter()
counts = {"records": 0, "states": 0, "alerts": 0}


@app.agent(callbacks)  # type: ignore[untyped-decorator]
async def small_job(stream: Any) -> None:
    async for event in stream.events():
        meter.start()
        body = orjson.loads(event.value)["body"]
        key, status, number = event.key.decode(), body["CallStatus"], body.get("SequenceNumber")
        call = calls.get(key) or {"status": None, "seen": []}
        mark = f"{number} {status}" if number is not None else f"{body['Timestamp']} {status}"
        if mark not in call["seen"]:
            calls[key] = {"status": status, "seen": [*call["seen"], mark]}
            counts["states"] += 1
            if status == "failed":
                counts["alerts"] += 1
                await alerts.send(key=event.key, value={"call": key, "status": status})
        counts["records"] += 1
        if counts["records"] == TASK.records:
            give_back(meter.result(TASK.records) | counts)


async def main() -> None:
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    sys.exit(loop.run_until_complete(main()))
