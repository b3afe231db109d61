"""The quickest two incidents, each with the one role that it concerns, and with time yet faster."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stream.broker.ports import free_port
from stream.cli.local.observability import Programs
from stream.kafka.topics import ensure
from stream.service.settings import load
from stream.simulator.accounts import simulated_environment
from tests.e2e.harness import WorkerProcess, stopped_after, wait_until
from tests.e2e.incidents.observed import answers, fires_and_resolves, observed
from tests.real_broker import RealBroker

HEALTHY_S, SCRAPED_EVERY_S = 6.0, 0.5


def test_a_carrier_outage_raises_its_alerts_and_no_others_and_they_resolve(
    broker: RealBroker, prefix: str, tmp_path: Path, programs: Programs
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    environment = {**on_broker(broker, prefix, tmp_path), "CALLSTREAM_WORKER_LISTEN": listen}
    worker = WorkerProcess(["-m", "stream.cli", "worker"], environment, tmp_path / "worker.log")
    simulator = rehearsal("carrier-outage", ["--rate", "100"], 8.0, environment, tmp_path)
    with stopped_after(worker, simulator):
        worker.start()
        wait_until(lambda: answers(f"http://{listen}/readyz"), "the worker is ready", 60)
        with observed(programs, tmp_path, {"worker": listen}, faster=200.0, every_s=SCRAPED_EVERY_S) as seen:
            simulator.start()
            # The other roles are not there, which the rules rightly say.
            fires_and_resolves(
                "carrier-outage", seen, simulator.output, lasts_s=8.0, besides={"CallstreamDown"}
            )


def test_a_rotation_of_the_signing_keys_raises_its_alert_and_no_other_and_it_resolves(
    broker: RealBroker, prefix: str, tmp_path: Path, programs: Programs
) -> None:
    at, listen = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    environment = on_broker(broker, prefix, tmp_path)
    environment = {
        **simulated_environment(load(environment), environment),
        "CALLSTREAM_GATEWAY_LISTEN": at,
        "CALLSTREAM_GATEWAY_HEALTH_LISTEN": listen,
    }
    gateway = WorkerProcess(["-m", "stream.cli", "gateway"], environment, tmp_path / "gateway.log")
    argv = ["--rate", "50", "--gateway", f"http://{at}"]
    simulator = rehearsal("signature-rotation", argv, 12.0, environment, tmp_path)
    with stopped_after(gateway, simulator):
        gateway.start()
        wait_until(lambda: answers(f"http://{listen}/readyz"), "the gateway is ready", 60)
        # Webhooks come in steps of about a second: a window of the rule must hold several of them.
        with observed(programs, tmp_path, {"gateway": listen}, faster=100.0, every_s=SCRAPED_EVERY_S) as seen:
            simulator.start()
            fires_and_resolves(
                "signature-rotation", seen, simulator.output, lasts_s=12.0, besides={"CallstreamDown"}
            )


def rehearsal(
    name: str, argv: list[str], lasts_s: float, environment: dict[str, str], directory: Path
) -> WorkerProcess:
    """A simulator with an incident, not started."""
    phases = ["--incident-after", f"{HEALTHY_S}", "--incident-for", f"{lasts_s}"]
    command = ["-m", "stream.cli", "simulate", "--forever", "--incident", name, *phases, *argv]
    return WorkerProcess(command, environment, directory / "simulator.log")


def on_broker(broker: RealBroker, prefix: str, directory: Path) -> dict[str, str]:
    """The environment of roles over `broker`, whose topics are made."""
    environment = {
        "CALLSTREAM_KAFKA": broker.bootstrap,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_DATA_DIR": str(directory / "data"),
    }
    asyncio.run(ensure(broker.bootstrap, load(environment)))
    return environment
