"""What `callstream up --observe` starts beside the roles, as the programs themselves judge it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.cli.local.observability import (
    RULES,
    NotInstalledError,
    Programs,
    installed,
    observing_programs,
    routes,
)
from stream.cli.up import command

TARGETS = {"gateway": "127.0.0.1:1", "worker": "127.0.0.1:2", "poller": "127.0.0.1:3"}


def judged(tool: str, *arguments: str) -> str:
    """What a checking tool says of a configuration that it accepts."""
    if shutil.which(tool) is None:
        if os.environ.get("CALLSTREAM_REQUIRE_TOOLS"):
            pytest.fail(f"{tool} is missing and CALLSTREAM_REQUIRE_TOOLS is set")
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def free_but_for_9090(name: str, listen: str) -> str:
    return listen.replace("9090", "21090")


def config_file(program: list[str]) -> str:
    (option,) = (word for word in program if word.startswith("--config.file="))
    return option.partition("=")[2]


def test_prometheus_reads_every_role_and_the_shipped_rules_and_finds_its_alertmanager(tmp_path: Path) -> None:
    said: list[str] = []
    alertmanager, prometheus = observing_programs(
        Programs("/bin/prometheus", "/bin/am"), tmp_path, TARGETS, free_but_for_9090, said.append
    )
    assert said == []
    assert prometheus.command[0] == "/bin/prometheus"
    assert "--web.listen-address=127.0.0.1:21090" in prometheus.command
    assert prometheus.urls.startswith("http://127.0.0.1:21090/alerts")
    written = json.loads(Path(config_file(prometheus.command)).read_text())
    (job,) = written["scrape_configs"]
    assert {one["labels"]["role"]: one["targets"] for one in job["static_configs"]} == {
        role: [at] for role, at in TARGETS.items()
    }
    (found,) = written["alerting"]["alertmanagers"][0]["static_configs"]
    assert f"http://{found['targets'][0]}" == alertmanager.urls
    files = len(list(RULES.glob("*.rules.yml")))
    assert files > 3
    assert (
        judged("promtool", "check", "config", config_file(prometheus.command)).count("rules found") == files
    )


def test_alertmanager_has_the_shipped_routes_and_sends_nothing_away_from_this_machine(tmp_path: Path) -> None:
    alertmanager, _ = observing_programs(
        Programs("/bin/prometheus", "/bin/am"), tmp_path, TARGETS, free_but_for_9090, print
    )
    said = judged("amtool", "check-config", config_file(alertmanager.command))
    assert "2 receivers" in said
    assert "1 inhibit rules" in said
    assert "http" not in routes()
    assert routes("http://127.0.0.1:7/").count("http://127.0.0.1:7/") == 2


def test_without_alertmanager_prometheus_runs_alone_and_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    said: list[str] = []
    (prometheus,) = observing_programs(
        Programs("/bin/prometheus", None), tmp_path, TARGETS, free_but_for_9090, said.append
    )
    assert "alerting" not in json.loads(Path(config_file(prometheus.command)).read_text())
    assert "apt-get install prometheus prometheus-alertmanager" in said[0]


def test_debians_name_of_alertmanager_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("prometheus", "prometheus-alertmanager"):
        (tmp_path / name).touch(0o700)
        (tmp_path / name).chmod(0o700)
    assert installed() == (str(tmp_path / "prometheus"), str(tmp_path / "prometheus-alertmanager"))
    (tmp_path / "prometheus").unlink()
    with pytest.raises(NotInstalledError):
        installed()


def test_without_prometheus_the_command_says_how_to_get_it_and_starts_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environment = {"PATH": str(tmp_path), "CALLSTREAM_DATA_DIR": str(data)}
    result = CliRunner().invoke(command, ["--observe"], env=environment)
    assert result.exit_code == 2
    assert "Prometheus is not installed. Debian and Ubuntu: apt-get install prometheus" in result.stderr
    assert not data.exists()
