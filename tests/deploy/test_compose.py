"""The compose file: each role starts with the settings that it gets there, and all that it names exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.service import NOBODY, warnings
from stream.poller.resources.account import accounts
from stream.service.settings import Settings, load
from stream.simulator.accounts import served_accounts, signing_keys
from stream.simulator.calls.options import Options
from tests.tree import ROOT

FOLDER = ROOT / "deploy"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
EXAMPLE = (FOLDER / ".env.example").read_text()
REAL, DEMO = EXAMPLE.split("# For --profile demo")
TOKEN = "4a5b6c7d8e9f00112233445566778899"


def environment(service: str, env: str, secrets: Path, content: str = "") -> dict[str, str]:
    """What a service's process gets, with an `.env` of these lines. `content`: of its Twilio token's file."""
    said = dict(re.findall(r"^#?(CALLSTREAM_\w+)=(.+)$", env, re.MULTILINE))
    for name in COMPOSE["secrets"]:
        (secrets / name).write_text(f"{content}\n" if name == "twilio_auth_token" else "")
    own = SERVICES[service].get("environment", {})
    mounted = {"/run/secrets": str(secrets), "/etc/callstream": str(FOLDER / "notify")}
    for inside, outside in mounted.items():
        own = {name: value.replace(inside, outside) for name, value in own.items()}
    return said | own


@pytest.mark.parametrize("service", sorted(OURS))
def test_a_role_starts_with_settings_alone_and_empty_secrets(service: str, tmp_path: Path) -> None:
    settings = load(environment(service, REAL, tmp_path))
    assert settings.kafka == "kafka:9092"
    assert not accounts(settings)


def test_the_demo_signs_what_the_gateway_accepts_and_serves_what_the_poller_reads(tmp_path: Path) -> None:
    def settings(service: str) -> Settings:
        return load(environment(service, DEMO, tmp_path, TOKEN))

    command = SERVICES["simulator"]["command"]
    options = Options(calls=1, telnyx=float(command[command.index("--telnyx") + 1]), served=True)
    keys = signing_keys(settings("simulator"), options)
    credentials = GatewayCredentials.from_settings(settings("gateway"))
    assert NOBODY not in warnings(credentials)
    assert keys.twilio_token == TOKEN
    _, accepted = served_accounts(settings("simulator"), options)
    (account,) = accounts(settings("poller"))
    assert (account.id, account.secret) == (keys.twilio_account, *accepted.twilio_tokens)
    port = settings("simulator").simulate_listen.rpartition(":")[2]
    assert account.api_url == f"http://gateway:{port}"


def test_a_role_gets_each_of_its_secrets_and_no_other() -> None:
    for service in SERVICES.values():
        files = {value for name, value in service.get("environment", {}).items() if name.endswith("_FILE")}
        assert files == {f"/run/secrets/{name}" for name in service.get("secrets", ())}
    assert {name for one in SERVICES.values() for name in one.get("secrets", ())} == set(COMPOSE["secrets"])


def test_a_role_writes_only_its_volume_and_has_no_rights() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "no-new-privileges:true" in service["security_opt"]
    volumes = [one.partition(":") for service in SERVICES.values() for one in service.get("volumes", ())]
    assert {name for name, _, _ in volumes if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert all((FOLDER / path).exists() for path, _, _ in volumes if path.startswith("."))
    assert all("limits" in service["deploy"]["resources"] for service in SERVICES.values())


def test_prometheus_scrapes_each_role_where_it_listens() -> None:
    prometheus = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    listens = dict(
        re.findall(r"CALLSTREAM_(\w+)_LISTEN=0\.0\.0\.0:(\d+)", (FOLDER / "Dockerfile").read_text())
    )
    ports = {"gateway": listens["GATEWAY_HEALTH"], "worker": listens["WORKER"], "poller": listens["POLLER"]}
    ports |= {"notify": listens["NOTIFY"], "archive": listens["ARCHIVE"], "api": listens["API_HEALTH"]}
    expected = {
        (f"{name}:{ports[service['command'][0]]}", service["command"][0])
        for name, service in SERVICES.items()
        if name in OURS and service["command"][0] in ports
    }
    assert {
        (target, one["labels"]["role"]) for one in job["static_configs"] for target in one["targets"]
    } == expected
    (alerting,) = prometheus["alerting"]["alertmanagers"]
    (target,) = alerting["static_configs"][0]["targets"]
    assert target.split(":") == ["alertmanager", "9093"]


def test_alerts_are_sent_by_alertmanager_alone() -> None:
    """Grafana would send those of its own to an address that it makes up."""
    mounted = [one.partition(":")[0] for one in SERVICES["grafana"]["volumes"]]
    folders = [FOLDER / one for one in mounted if "provisioning" in one]
    provisioned = {path.parent.name for folder in folders for path in folder.rglob("*.yaml")}
    assert provisioned == {"dashboards", "datasources"}


def test_the_example_names_what_the_compose_file_reads() -> None:
    read = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    assert {
        name for name in re.findall(r"^#?(\w+)=", EXAMPLE, re.MULTILINE) if "CALLSTREAM" not in name
    } == read
