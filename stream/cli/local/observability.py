"""Prometheus and Alertmanager beside the roles of `callstream up`, with the shipped rules and routes.

Both are programs that are installed already. Nothing that they say leaves this machine.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from stream.service.data_dir import file_errors, prepare

SHIPPED = Path(str(files("stream.cli.local")))
RULES = SHIPPED / "prometheus"
ROUTES = SHIPPED / "alertmanager" / "alertmanager.yml"

PROMETHEUS = ("prometheus",)
ALERTMANAGER = ("alertmanager", "prometheus-alertmanager")
"""Names of the programs; Debian's Alertmanager has the second one."""

HOW_TO_GET = (
    "Debian and Ubuntu: apt-get install prometheus prometheus-alertmanager; macOS: brew install prometheus;"
    " otherwise from https://prometheus.io/download. They must be on the PATH and need not run."
)
PROMETHEUS_AT, ALERTMANAGER_AT = "127.0.0.1:9090", "127.0.0.1:9093"
EVERY_S = 5.0


class NotInstalledError(Exception):
    """A program is not on the PATH; the message says how to get it."""


class Programs(NamedTuple):
    """Where the programs are; Alertmanager may be missing."""

    prometheus: str
    alertmanager: str | None


def installed() -> Programs:
    """Raises NotInstalledError if there is no Prometheus."""
    prometheus, alertmanager = _first_of(PROMETHEUS), _first_of(ALERTMANAGER)
    if prometheus is None:
        raise NotInstalledError(f"Prometheus is not installed. {HOW_TO_GET}")
    return Programs(prometheus, alertmanager)


def _first_of(names: Sequence[str]) -> str | None:
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


class ObservingProgram(NamedTuple):
    """A program to run beside the roles, and where a person finds it."""

    name: str
    command: list[str]
    urls: str


def observing_programs(
    programs: Programs,
    directory: Path,
    targets: Mapping[str, str],
    free_address: Callable[[str, str], str],
    say: Callable[[str], None],
) -> list[ObservingProgram]:
    """Their data is below `directory`. `free_address`: from a name and an address to one that is free."""
    found, alertmanager = [], None
    if programs.alertmanager is None:
        say(f"Alertmanager is not installed: Prometheus alone shows the alerts. {HOW_TO_GET}")
    else:
        alertmanager = free_address("Alertmanager", ALERTMANAGER_AT)
        command = alertmanager_command(
            programs.alertmanager, directory / "alertmanager", alertmanager, routes()
        )
        found.append(ObservingProgram("alertmanager", command, f"http://{alertmanager}"))
    at = free_address("Prometheus", PROMETHEUS_AT)
    command = prometheus_command(
        programs.prometheus, directory / "prometheus", at, targets=targets, alertmanager=alertmanager
    )
    return [*found, ObservingProgram("prometheus", command, f"http://{at}/alerts   http://{at}/graph")]


def prometheus_command(
    program: str,
    directory: Path,
    listen: str,
    *,
    targets: Mapping[str, str],
    alertmanager: str | None,
    rules: Path = RULES,
    every_s: float = EVERY_S,
) -> list[str]:
    """Writes the configuration into `directory`, beside the data, and returns the command.

    `targets`: the address of each role's `/metrics`. `every_s`: between two scrapes, and two evaluations.
    Raises DataDirError.
    """
    every = f"{every_s * 1000:.0f}ms"
    config: dict[str, Any] = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(rules / "*.rules.yml")],
        "scrape_configs": [
            {
                "job_name": "callstream",
                "static_configs": [
                    {"targets": [address], "labels": {"role": role}} for role, address in targets.items()
                ],
            }
        ],
    }
    if alertmanager is not None:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    # JSON is YAML.
    written = _written(directory / "prometheus.yml", json.dumps(config, indent=2))
    return [
        program,
        f"--config.file={written}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={listen}",
        "--log.level=warn",
    ]


def alertmanager_command(program: str, directory: Path, listen: str, config: str) -> list[str]:
    """The same for Alertmanager."""
    written = _written(directory / "alertmanager.yml", config)
    return [
        program,
        f"--config.file={written}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address={listen}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def routes(receiver_url: str | None = None) -> str:
    """The shipped routes and inhibitions. Their receivers get the webhook of the URL, or only show."""
    text, _, _ = ROUTES.read_text().partition("\nreceivers:\n")
    named = dict.fromkeys(re.findall(r"receiver: (\w+)", text))
    webhooks = [{"url": receiver_url}] if receiver_url is not None else []
    receivers = [{"name": name, "webhook_configs": webhooks} for name in named]
    return f"{text}\nreceivers: {json.dumps(receivers)}\n"


def _written(path: Path, text: str) -> Path:
    prepare(path.parent)
    with file_errors(path.parent):
        path.write_text(text)
    return path.absolute()
