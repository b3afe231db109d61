"""The quickest incident, with the one role that it concerns, and with time yet faster."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stream.broker.ports import free_port
from stream.cli.local.observability import Programs
from stream.kafka.topics import ensure
from stream.service.settings import load
from tests.e2e.harness import WorkerProcess, stopped_after, wait_until
from tests.e2e.incidents.observed import answers, fires_and_resolves, observed
from tests.real_broker import RealBroker

FASTER, SCRAPED_EVERY_S = 200.0, 0.5
HEALTHY_S, LASTS_S = 6.0, 8.0


def test_a_carrier_outage_raises_its_alerts_and_no_others_and_they_resolve(
    broker: RealBroker, prefix: str, tmp_path: Path, programs: Programs
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    environment = {
        "CALLSTREAM_KAFKA": broker.bootstrap,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_DATA_DIR": str(tmp_path / "data"),
        "CALLSTREAM_WORKER_LISTEN": listen,
    }
    asyncio.run(ensure(broker.bootstrap, load(environment)))
    phases = ["--incident-after", f"{HEALTHY_S}", "--incident-for", f"{LASTS_S}"]
    simulate = ["simulate", "--forever", "--rate", "100", "--incident", "carrier-outage", *phases]
    worker = WorkerProcess(["-m", "stream.cli", "worker"], environment, tmp_path / "worker.log")
    simulator = WorkerProcess(["-m", "stream.cli", *simulate], environment, tmp_path / "simulator.log")
    with stopped_after(worker, simulator):
        worker.start()
        wait_until(lambda: answers(f"http://{listen}/readyz"), "the worker is ready", 60)
        with observed(programs, tmp_path, {"worker": listen}, faster=FASTER, every_s=SCRAPED_EVERY_S) as seen:
            simulator.start()
            # The other roles are not there, which the rules rightly say.
            fires_and_resolves(
                "carrier-outage", seen, simulator.output, lasts_s=LASTS_S, besides={"CallstreamDown"}
            )
