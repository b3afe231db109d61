"""Each incident raises its alerts and no others, they reach the pager, and they resolve when it is over."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from stream.cli.local.observability import Programs
from stream.simulator.incidents import INCIDENTS
from tests.e2e.harness import WorkerProcess, wait_until
from tests.e2e.incidents.observed import answers, fires_and_resolves, observed
from tests.e2e.test_up import STOPPED_S, leaving_nothing

pytestmark = pytest.mark.e2e

FASTER = 60.0
HEALTHY_S = 35.0
LASTS_S = {
    "carrier-outage": 30,
    "webhook-down": 50,
    "webhook-slow": 60,
    "traffic-stops": 90,
    "broker-slow": 40,
    "duplicate-storm": 70,
    "signature-rotation": 40,
    "credentials-revoked": 20,
    "poller-throttled": 60,
}
"""Long enough for the rules, in which a minute is a second."""

STARTED_S = 120.0
ROLES = ("gateway_health", "worker", "poller")


def everything(directory: Path, name: str) -> tuple[WorkerProcess, dict[str, str]]:
    """`callstream up` with an incident, not started, and where its roles are scraped."""
    at = {role: f"127.0.0.1:{free_port()}" for role in (*ROLES, "gateway", "simulate")}
    phases = ["--incident-after", f"{HEALTHY_S}", "--incident-for", f"{LASTS_S[name]}"]
    environment = {
        "CALLSTREAM_DATA_DIR": str(directory / "data"),
        "CALLSTREAM_KAFKA": "",
        "PYTHONUNBUFFERED": "1",
        **{f"CALLSTREAM_{role.upper()}_LISTEN": address for role, address in at.items()},
    }
    argv = ["-m", "stream.cli", "up", "--plain", "--incident", name, *phases]
    roles = {role.removesuffix("_health"): at[role] for role in ROLES}
    return WorkerProcess(argv, environment, directory / "up.log"), roles


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_raises_its_alerts_and_no_others_and_they_resolve(
    name: str, tmp_path: Path, programs: Programs
) -> None:
    local, roles = everything(tmp_path, name)
    with leaving_nothing(local):
        local.start()
        wait_until(lambda: "worker running" in local.output(), "the worker runs", STARTED_S)
        for role, address in roles.items():
            # Otherwise it would be down for Prometheus.
            wait_until(partial(answers, f"http://{address}/metrics"), f"the {role} answers", STARTED_S)
        with observed(programs, tmp_path, roles, faster=FASTER) as seen:
            fires_and_resolves(name, seen, local.output, lasts_s=LASTS_S[name])
        local.running.send_signal(signal.SIGINT)
        assert local.running.wait(STOPPED_S) == 0
