"""What values do: their text, what is refused, scaling, routes, monitoring, and the notes."""

from __future__ import annotations

import json
import re
import shutil
from ipaddress import ip_network
from pathlib import Path

import click
import pytest
import yaml

from deploy.prometheus.render import read_values
from stream.cli.main import main
from stream.gateway.diagnose.provider_setup import TELNYX_PATH, TWILIO_PATH
from stream.gateway.receive.source_detection import EVENT_STREAMS_PATH
from stream.kafka import topics
from stream.service.metric_settings import EndpointSetting
from stream.service.metrics.label_values import CALLBACK_ROUTES
from tests.deploy.helm.chart import (
    CHART,
    ROOT,
    VALUES,
    needs_helm,
    of_kind,
    of_name,
    only,
    pods,
    template,
)
from tests.deploy.helm.test_chart_roles import chosen

pytestmark = needs_helm


def test_settings_arrive_as_they_were_given(tmp_path: Path) -> None:
    found = chosen(pods("full")["worker"], tmp_path)
    assert (found.settle_s, found.body_limit_bytes, found.partitions, found.poll_rate) == (
        1e6,
        200_000,
        24,
        2.5,
    )
    assert found.gap_grace_s == 20
    assert found.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert found.poll_sources == ("twilio_call", "telnyx_call_event")
    assert found.metric_sip_codes == ("404", "486")
    assert found.endpoints == (
        EndpointSetting("ivr", "https://app.example.com/voice/*"),
        EndpointSetting("queue", "https://app.example.com/queue/*"),
    )
    assert chosen(pods("full")["gateway"], tmp_path).gap_grace_s == 10


def test_each_role_logs_in_as_its_own_user(tmp_path: Path) -> None:
    users = {role: chosen(pod, tmp_path).kafka_sasl_username for role, pod in pods("sasl-ssl").items()}
    assert users == {role: f"callstream-{role}" for role in ("gateway", "worker", "poller", "topics")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("image.repository=", "/image/repository"),
        ("settings.kafka=", "/settings/kafka"),
        ("settings.public_url=", "/settings/public_url"),
        ("settings.twilio_auth_token=planted", "'twilio_auth_token' not allowed"),
        ("settings.instance_id=one", "'instance_id' not allowed"),
        ("settings.worker_processes=2", "'worker_processes' not allowed"),
        ("settings.rules=/etc/rules.toml", "'rules' not allowed"),
        ("settings.kafkaa=kafka:9092", "'kafkaa' not allowed"),
        ("worker.replica=3", "'replica' not allowed"),
        ("secrets.twilio_auth_token=planted", "/secrets/twilio_auth_token"),
        ("secrets.store.existingSecret=s", "'store' not allowed"),
        ("worker.replicas=13", "worker.replicas is 13, but settings.partitions is 12"),
        ("gateway.httpRoute.enabled=true", "/gateway/httpRoute/parentRefs"),
    ],
)
def test_what_cannot_work_is_refused(given: str, said: str) -> None:
    refused = template("minimal", "--set", given)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "planted" not in refused.stderr


def test_a_public_url_with_a_path_is_not_routed() -> None:
    given = ("--set", "settings.public_url=https://example.com/voice,gateway.ingress.enabled=true")
    assert "has the path /voice" in template("minimal", *given).stderr


@pytest.mark.parametrize(("values", "at_most"), [("sasl-ssl", 6), ("oauth", 12)])
def test_workers_scale_by_the_lag_of_their_group_up_to_one_for_each_partition(
    values: str, at_most: int, tmp_path: Path
) -> None:
    worker = chosen(pods(values)["worker"], tmp_path)
    names = topics.names(worker.topic_prefix)
    scaled = only(values, "ScaledObject")["spec"]
    stateful = only(values, "StatefulSet")
    assert "replicas" not in stateful["spec"]
    assert scaled["scaleTargetRef"]["name"] == stateful["metadata"]["name"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, at_most)
    triggers = [one["metadata"] for one in scaled["triggers"]]
    assert [one["topic"] for one in triggers] == [names.callbacks, names.polled]
    assert {one["consumerGroup"] for one in triggers} == {topics.app_id(worker.topic_prefix)}
    assert {one["bootstrapServers"] for one in triggers} == {worker.kafka}


@pytest.mark.parametrize(
    ("values", "sasl", "parameters"),
    [
        ("sasl-ssl", "scram_sha512", {"username", "password", "ca"}),
        ("oauth", "oauthbearer", {"username", "password", "oauthTokenEndpointUri", "oauthExtensions"}),
    ],
)
def test_the_scaler_logs_in_as_the_worker_does(values: str, sasl: str, parameters: set[str]) -> None:
    login = only(values, "TriggerAuthentication")
    given = {one["parameter"] for one in (*login["spec"]["env"], *login["spec"]["secretTargetRef"])}
    assert given == parameters
    (worker,) = pods(values)["worker"]["spec"]["containers"]
    for one in login["spec"]["env"]:
        assert one["containerName"] == worker["name"]
        assert one["name"] in {about["name"] for about in worker["env"]}
    for trigger in only(values, "ScaledObject")["spec"]["triggers"]:
        assert (trigger["metadata"]["tls"], trigger["metadata"]["sasl"]) == ("enable", sasl)
        assert trigger["authenticationRef"] == {"name": login["metadata"]["name"]}


def test_a_scaler_that_needs_no_login_gets_empty_lists() -> None:
    """Kubernetes refuses null in place of a list."""
    given = ("--set", "settings.kafka_security=ssl,worker.autoscaling.enabled=true")
    rendered = template("minimal", *given, "--show-only", "templates/worker/autoscaling.yaml")
    login = {one["kind"]: one["spec"] for one in yaml.safe_load_all(rendered.stdout)}["TriggerAuthentication"]
    assert login == {"env": [], "secretTargetRef": []}


def test_topics_are_created_before_the_roles_start() -> None:
    hooks = only("minimal", "Job")["metadata"]["annotations"]
    assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
    # Nothing that the release creates exists yet.
    policies = {one["metadata"]["name"]: one["metadata"] for one in of_kind("minimal", "NetworkPolicy")}
    assert policies["calls-1-callstream-topics"]["annotations"] == hooks | {"helm.sh/hook-weight": "-1"}
    pod = pods("minimal")["topics"]["spec"]
    assert "serviceAccountName" not in pod
    assert not any("configMap" in one for one in pod["volumes"])


def test_an_update_does_not_mix_the_versions_of_workers_or_of_pollers() -> None:
    assert only("minimal", "StatefulSet")["spec"]["updateStrategy"] == {
        "rollingUpdate": {"maxUnavailable": "100%"}
    }
    strategies = {
        one["metadata"]["name"]: one["spec"]["strategy"] for one in of_kind("minimal", "Deployment")
    }
    assert strategies["calls-1-callstream-poller"] == {"type": "Recreate"}


def test_the_public_service_and_its_routes_lead_to_the_callbacks_alone() -> None:
    (public,) = [one for one in of_kind("full", "Service") if one["spec"].get("type") == "LoadBalancer"]
    assert [one["targetPort"] for one in public["spec"]["ports"]] == ["http"]
    ingress, route = of_name("full", "Ingress", "gateway")["spec"], only("full", "HTTPRoute")["spec"]
    (rule,), (match,) = ingress["rules"], route["rules"]
    assert [rule["host"]] == route["hostnames"] == ingress["tls"][0]["hosts"] == ["calls.example.com"]
    paths = [rule["http"]["paths"][0]["path"], match["matches"][0]["path"]["value"]]
    assert paths == ["/callbacks", "/callbacks"]
    assert all(one.startswith("/callbacks/") for one in CALLBACK_ROUTES)


def test_the_page_has_a_host_of_its_own_and_its_service_is_not_that_of_metrics() -> None:
    ingress, service = of_name("full", "Ingress", "api")["spec"], of_name("full", "Service", "api")["spec"]
    (rule,) = ingress["rules"]
    assert [rule["host"]] == ingress["tls"][0]["hosts"] == ["pages.example.com"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/", "calls-api")
    assert [one["targetPort"] for one in service["ports"]] == ["http"]
    (asked, read) = of_name("full", "NetworkPolicy", "api")["spec"]["ingress"]
    assert (asked["ports"], asked["from"]) == ([{"port": "http"}], [{"ipBlock": {"cidr": "10.1.0.0/16"}}])
    assert read["ports"] == [{"port": "metrics"}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "archive.enabled=true",
            "archive.enabled needs the URL of a PostgreSQL database: secrets.archive_url",
        ),
        ("api.enabled=true", "api.enabled needs the URL of a PostgreSQL database: secrets.archive_url"),
    ],
)
def test_pods_do_not_share_a_file(given: str, said: str) -> None:
    assert said in template("minimal", "--set", given).stderr


def test_a_page_without_an_address_is_not_routed() -> None:
    url = "secrets.archive_url.existingSecret=s,secrets.archive_url.key=k"
    given = ("--set", f"api.enabled=true,api.ingress.enabled=true,{url}")
    assert "api.ingress.enabled needs settings.ui_url" in template("minimal", *given).stderr
    given = (*given, "--set", "settings.ui_url=https://example.com/calls")
    assert "has the path /calls" in template("minimal", *given).stderr


def test_policies_open_the_ports_of_the_brokers() -> None:
    def egress(values: str, role: str) -> list[object]:
        (one,) = [
            one for one in of_kind(values, "NetworkPolicy") if one["metadata"]["name"].endswith(f"-{role}")
        ]
        return [port["port"] for rule in one["spec"]["egress"] for port in rule["ports"]]

    assert egress("full", "worker") == [53, 53, 9092, 9094, 8443]
    assert egress("full", "poller") == [53, 53, 9092, 9094, 443, 8443]
    assert egress("full", "archive") == [53, 53, 9092, 9094, 6432, 8443]
    assert egress("full", "api") == [53, 53, 9092, 9094, 6432, 8443]
    assert egress("full", "notify") == [53, 53, 9092, 9094, 443, 8443]
    assert egress("oauth", "worker") == [53, 53, 9092, 9094, 443]
    assert egress("sasl-ssl", "topics") == [53, 53, 9093]


def test_the_example_for_openshift_leaves_the_user_to_it(tmp_path: Path) -> None:
    _, example = (CHART / "README.md").read_text().split("On OpenShift, ")
    (tmp_path / "openshift.yaml").write_text(example.split("```yaml")[1].split("```")[0])
    rendered = template("minimal", "-f", str(tmp_path / "openshift.yaml"))
    for one in filter(None, yaml.safe_load_all(rendered.stdout)):
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            given = one["spec"]["template"]["spec"]["securityContext"]
            assert given.keys() == {"fsGroupChangePolicy", "runAsNonRoot", "seccompProfile"}
        if one["kind"] == "NetworkPolicy":
            ports = [{"port": 5353, "protocol": "UDP"}, {"port": 5353}]
            assert one["spec"]["egress"][-1]["ports"] == ports


def test_prometheus_gets_the_rules_and_the_labels_that_they_select() -> None:
    files = sorted((ROOT / "deploy" / "prometheus").glob("*.rules.yml"))
    given = [one["spec"]["groups"] for one in of_kind("full", "PrometheusRule")]
    runbook = str(read_values()["runbook"])
    wanted = [path.read_text().replace(runbook, "https://wiki.example.com/alerts") for path in files]
    assert given == [yaml.safe_load(text)["groups"] for text in wanted]
    assert (
        yaml.safe_load((CHART / "values.yaml").read_text())["monitoring"]["prometheusRule"]["runbook"]
        == runbook
    )
    (endpoint,) = only("full", "ServiceMonitor")["spec"]["endpoints"]
    labels = {one["targetLabel"]: one.get("replacement") for one in endpoint["relabelings"]}
    assert labels == {"job": "callstream", "role": None}
    rules = "".join(path.read_text() for path in files)
    assert set(re.findall(r'job="(.*?)"', rules)) == {labels["job"]}
    assert set(re.findall(r'role="(.*?)"', rules)) <= pods("full").keys()


def test_the_monitor_selects_the_service_of_metrics() -> None:
    selector = only("full", "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    services = [one for one in of_kind("full", "Service") if selector <= one["metadata"]["labels"].items()]
    assert [one["metadata"]["name"] for one in services] == ["calls-metrics"]


def test_grafana_gets_each_dashboard_with_the_label_of_its_sidecar() -> None:
    given = of_kind("full", "ConfigMap")
    files = {path.name: path.read_text() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    found = {name: json.loads(text) for one in given for name, text in one["data"].items()}
    assert found == {name: json.loads(text) for name, text in files.items()}
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in given)


@pytest.mark.parametrize("values", VALUES)
def test_the_notes_name_the_url_of_every_callback(values: str, tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "callstream")
    (chart / "templates" / "NOTES.txt").rename(chart / "NOTES.txt")
    (chart / "templates" / "shown.yaml").write_text('notes: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}')
    rendered = template(values, "--show-only", "templates/shown.yaml", chart=chart)
    notes = yaml.safe_load(rendered.stdout)["notes"]
    url = yaml.safe_load(VALUES[values].read_text())["settings"]["public_url"]
    named = re.findall(rf"{re.escape(url)}(/callbacks\S*)", notes)
    assert named == [TWILIO_PATH, TWILIO_PATH + EVENT_STREAMS_PATH, TELNYX_PATH]
    assert set(named) == set(CALLBACK_ROUTES)
    assert ("refuses every webhook" in notes) is (values == "minimal")
    commands = re.findall(r"exec deploy/calls\S*-gateway -- callstream (.*)", notes)
    assert len(commands) == 2
    for name, *words in map(str.split, commands):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        command.make_context(name, words).close()
