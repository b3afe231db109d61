"""What the roles show before anything has happened fires no alert, but those about what has not begun."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stream.service.metrics.api import ApiMetrics
from stream.service.metrics.archive import ArchiveMetrics
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.notify import NotifyMetrics
from stream.service.metrics.poller import PollerMetrics
from stream.service.metrics.registry import MetricRegistry
from stream.service.metrics.worker import WorkerMetrics
from tests.deploy.test_prometheus_rules import ALERTS, FILES

MINUTES = 35
HAS_NOT_BEGUN = {"CallstreamPollStale", "CallstreamWorkerNotRunning"}
"""A worker that does not come to run, and a resource that is never read."""


def at_start() -> dict[str, MetricRegistry]:
    """The metrics of each role."""
    return {
        "gateway": GatewayMetrics(),
        "worker": WorkerMetrics(),
        "poller": PollerMetrics([("twilio_call", "default")]),
        "notify": NotifyMetrics([("oncall", "oncall")]),
        "archive": ArchiveMetrics(),
        "api": ApiMetrics(),
    }


def shown(role: str, metrics: MetricRegistry) -> list[dict[str, str]]:
    """Its series as promtool reads them, which stay as they are."""
    target = f'job="callstream", role="{role}"'
    found = [{"series": f"up{{{target}}}", "values": f"1x{MINUTES}"}]
    for line in metrics.exposition()[0].decode().splitlines():
        if line.startswith("callstream_"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()  # type: ignore[union-attr]
            both = f"{labels}, {target}" if labels else target
            found.append({"series": f"{name}{{{both}}}", "values": f"{float(value):g}x{MINUTES}"})
    return found


def test_what_the_roles_show_at_their_start_fires_only_what_has_not_begun(tmp_path: Path) -> None:
    if (promtool := shutil.which("promtool")) is None:
        assert "CALLSTREAM_REQUIRE_TOOLS" not in os.environ
        pytest.skip("promtool is not installed")
    cases = [
        {"eval_time": f"{MINUTES}m", "alertname": name, "exp_alerts": []}
        for name in sorted({alert["alert"] for alert in ALERTS})
    ]
    series = [one for role, metrics in at_start().items() for one in shown(role, metrics)]
    file = tmp_path / "start.test.yml"
    test = {"interval": "1m", "input_series": series, "alert_rule_test": cases}
    rules = {"rule_files": [str(path) for path in FILES], "evaluation_interval": "1m", "tests": [test]}
    file.write_text(json.dumps(rules))
    ran = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert set(re.findall(r"alertname: (\w+), time", ran.stdout + ran.stderr)) == HAS_NOT_BEGUN, ran.stderr
