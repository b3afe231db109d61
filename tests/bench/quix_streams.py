"""Candidate: the small job as the guide of Quix Streams writes it: a stateful function on a dataframe.

Deduplicate by sequence number, remember the status, alert on a failed call. At least once, as is its default.
The last commit counts. It runs in the environment of the extra `quix`.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application

from tests.bench.candidate import Meter, give_back, task


def main() -> None:
    asked = task()
    app = Application(
        broker_address=asked.bootstrap,
        consumer_group=asked.prefix + "quix",
        auto_offset_reset="earliest",
        state_dir=asked.directory + "/state",
        loglevel="WARNING",
    )
    meter = Meter()
    counts = {"records": 0, "states": 0, "alerts": 0}

    def small_job(value: dict[str, Any], state: Any) -> dict[str, Any] | None:
        meter.start()
        counts["records"] += 1
        if counts["records"] == asked.records:
            app.stop()
        body = value["body"]
        status, number = body["CallStatus"], body.get("SequenceNumber")
        call = state.get("call") or {"status": None, "seen": []}
        mark = f"{number} {status}" if number is not None else f"{body['Timestamp']} {status}"
        if mark in call["seen"]:
            return None
        state.set("call", {"status": status, "seen": [*call["seen"], mark]})
        counts["states"] += 1
        if status != "failed":
            return None
        counts["alerts"] += 1
        return {"call": body["CallSid"], "status": status}

    callbacks = app.dataframe(app.topic(asked.topic))
    alerts = callbacks.apply(small_job, stateful=True).filter(lambda alert: alert is not None)
    alerts.to_topic(app.topic(asked.prefix + "quix-alerts"))
    app.run()
    give_back(meter.result(asked.records) | counts)


if __name__ == "__main__":
    main()
