"""The pods of the roles: callstream takes what the chart gives them, and they have only what they need."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import click
import pytest

from stream.cli.main import main
from stream.service import settings
from stream.service.http import health
from stream.service.settings import (
    ApiSettings,
    ArchiveSettings,
    GatewaySettings,
    NotifySettings,
    PollerSettings,
    RoleSettings,
    Settings,
    WorkerSettings,
)
from tests.deploy.helm.chart import (
    VALUES,
    container,
    environment,
    manifests,
    mounted_secrets,
    needs_helm,
    of_kind,
    only,
    pods,
)

pytestmark = [needs_helm, pytest.mark.parametrize("values", VALUES)]

READS = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "poller": PollerSettings,
    "notify": NotifySettings,
    "archive": ArchiveSettings,
    "api": ApiSettings,
    "topics": RoleSettings,
}
LISTENS = {
    "gateway": "gateway_health_listen",
    "worker": "worker_listen",
    "poller": "poller_listen",
    "notify": "notify_listen",
    "archive": "archive_listen",
    "api": "api_health_listen",
}
SECRET = {about.name for about in fields(Settings) if about.metadata["secret"]}
FILES = {"kafka_ca_file", "rules"}
CONTENTS = {
    "poll_accounts": '[{"provider": "twilio", "id": "AC1", "secret": "planted"}]',
    "notify_sinks": '[{"name": "oncall", "type": "pagerduty", "secret": "planted"}]',
    "rules": '[links]\ncall = "https://planted.example.com/{key}"',
    "archive_url": "postgresql://calls:planted@postgres/calls",
    "api_tokens": f"planted read * sha256:{'0' * 64}",
}
"""Of the secrets that are not any text."""


def chosen(pod: dict[str, object], secrets: Path) -> Settings:
    """The settings that callstream has in this pod, with a text in each file that may be a secret's."""
    for name in SECRET | FILES:
        (secrets / name).write_text(CONTENTS.get(name, "planted") + "\n")
    return settings.load(environment(pod, secrets))


def test_callstream_takes_the_settings_of_every_role(values: str, tmp_path: Path) -> None:
    assert {"gateway", "worker"} <= pods(values).keys() <= READS.keys()
    for pod in pods(values).values():
        found = chosen(pod, tmp_path)
        assert found.kafka
        assert found.public_url
        assert found.log_format == "json"


def test_a_role_mounts_the_secrets_that_it_reads_and_no_others(values: str, tmp_path: Path) -> None:
    for role, pod in pods(values).items():
        files = {Path(text) for text in environment(pod, tmp_path).values() if str(tmp_path) in text}
        assert {file.name for file in files} == mounted_secrets(pod).keys()
        assert mounted_secrets(pod).keys() <= READS[role].__dataclass_fields__.keys() & (SECRET | FILES)
        found = asdict(chosen(pod, tmp_path))
        for name in mounted_secrets(pod):
            assert found[name] == tmp_path / name or "planted" in str(found[name])


def test_no_secret_is_in_a_manifest(values: str) -> None:
    assert of_kind(values, "Secret") == []
    for one in of_kind(values, "ConfigMap"):
        assert [Path(name).suffix for name in one["data"]] == [".json"]
    for pod in pods(values).values():
        named = {one["name"].removeprefix("CALLSTREAM_").lower() for one in container(pod)["env"]}
        assert named & SECRET == set()


def test_a_pod_is_restricted(values: str) -> None:
    """As the Pod Security Standard `restricted` demands, and with a read-only file system."""
    for pod in pods(values).values():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "projected"}


def test_no_service_adds_a_variable_that_is_no_setting(values: str) -> None:
    for pod in pods(values).values():
        assert pod["spec"]["enableServiceLinks"] is False


def test_the_data_directory_is_on_a_volume(values: str, tmp_path: Path) -> None:
    for pod in pods(values).values():
        (mount,) = [one for one in container(pod)["volumeMounts"] if one["name"] == "data"]
        assert chosen(pod, tmp_path).data_dir.parent == Path(mount["mountPath"])


def test_a_worker_keeps_name_and_store_over_a_restart_or_neither_store_nor_volume(
    values: str, tmp_path: Path
) -> None:
    found = chosen(pods(values)["worker"], tmp_path)
    assert found.instance_id == "callstream-0"
    claims = [
        one["metadata"]["name"] for one in only(values, "StatefulSet")["spec"].get("volumeClaimTemplates", ())
    ]
    empty = [one["name"] for one in pods(values)["worker"]["spec"]["volumes"] if "emptyDir" in one]
    assert (found.store, claims, empty) in [
        ("rocksdb", ["data"], ["tmp"]),
        ("memory", [], ["tmp", "data"]),
    ]


def test_without_a_poller_the_workers_ask_for_nothing(values: str, tmp_path: Path) -> None:
    assert (chosen(pods(values)["worker"], tmp_path).poll_sources == ()) is ("poller" not in pods(values))


def test_a_pod_runs_a_command_that_exists(values: str) -> None:
    for pod in pods(values).values():
        assert container(pod)["command"] == ["callstream"]
        name, *words = container(pod)["args"]
        command = main.get_command(click.Context(main), name)
        assert command is not None
        command.make_context(name, words).close()


def test_probes_ask_what_the_role_answers(values: str, tmp_path: Path) -> None:
    app = health.application(lambda _: (b"", ""), lambda: (True, ()), lambda: (True, ()))
    answered = {resource.canonical for resource in app.router.resources()}
    for role in pods(values).keys() & LISTENS.keys():
        one = container(pods(values)[role])
        ports = {port["name"]: port["containerPort"] for port in one["ports"]}
        listens = getattr(chosen(pods(values)[role], tmp_path), LISTENS[role])
        paths = []
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = one[probe]["httpGet"]
            assert f"0.0.0.0:{ports[asked['port']]}" == listens
            paths.append(asked["path"])
        assert paths == ["/livez", "/livez", "/readyz"]
        assert set(paths) <= answered


def test_selectors_select_the_pods_of_their_role(values: str) -> None:
    labels = {role: pod["metadata"]["labels"].items() for role, pod in pods(values).items()}
    for one in manifests(values):
        role = one["metadata"]["labels"].get("app.kubernetes.io/component")
        selector = selects(one)
        if selector is None or (role == "topics" and "topics" not in labels):
            continue
        selected = {pod for pod, has in labels.items() if selector.items() <= has}
        assert selected == (labels.keys() if role == "metrics" else {role})


def selects(one: dict[str, object]) -> dict[str, str] | None:
    """The labels by which a workload, service, budget or policy selects pods."""
    spec = one.get("spec")
    assert spec is None or isinstance(spec, dict)
    match one["kind"], spec:
        case ("Service", dict()):
            return dict(spec["selector"])
        case (("Deployment" | "StatefulSet" | "PodDisruptionBudget"), dict()):
            return dict(spec["selector"]["matchLabels"])
        case ("NetworkPolicy", dict()):
            return dict(spec["podSelector"]["matchLabels"])
    return None
