"""Candidate: the small job as a bare loop over librdkafka, the floor: no framework, no awaited output.

A dict for the states, a changelog record for each change, an alert for a failed call, offsets committed by
the client when it likes. A crash loses what it loses. The final flush counts: to send is part of the job.
"""

from __future__ import annotations

import orjson
from confluent_kafka import Consumer, Producer

from tests.bench.candidate import Meter, give_back, task

BATCH = 1000


def main() -> None:
    asked = task()
    name = asked.prefix + "bare"
    client = {"bootstrap.servers": asked.bootstrap, "log_level": 2}
    consumer = Consumer({**client, "group.id": name, "auto.offset.reset": "earliest"})
    producer = Producer({**client, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
    consumer.subscribe([asked.topic])
    changelog, alerts = name + "-calls-changelog", name + "-alerts"
    calls: dict[bytes, tuple[str, list[str]]] = {}
    meter, seen, states, raised = Meter(), 0, 0, 0
    while seen < asked.records:
        for message in consumer.consume(BATCH, 0.5):
            value, key = message.value(), message.key()
            if message.error() is not None or value is None or key is None:
                continue
            meter.start()
            seen += 1
            body = orjson.loads(value)["body"]
            status, number = body["CallStatus"], body.get("SequenceNumber")
            mark = f"{number} {status}" if number is not None else f"{body['Timestamp']} {status}"
            _, marks = calls.get(key) or (None, [])
            if mark in marks:
                continue
            marks.append(mark)
            calls[key] = (status, marks)
            states += 1
            producer.produce(
                changelog, orjson.dumps({"status": status, "seen": marks}), key, message.partition() or 0
            )
            if status == "failed":
                raised += 1
                producer.produce(alerts, orjson.dumps({"call": key.decode(), "status": status}), key)
        producer.poll(0)
    producer.flush(60)
    give_back(meter.result(seen) | {"states": states, "alerts": raised})


if __name__ == "__main__":
    main()
