"""Grafana's alert rules are those of Prometheus, and its provisioning files fit together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from deploy.grafana import expressions
from deploy.grafana.builders.alert_rules import RULE_FILES, alert_rule

GRAFANA = expressions.DASHBOARDS.parent
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""What Grafana takes as an id."""

FUNCTIONS = {
    *("humanize", "humanize1024", "humanizeDuration", "humanizePercentage", "humanizeTimestamp"),
    *("printf", "title", "toLower", "toUpper", "match", "reReplaceAll"),
}
"""Of Grafana's template language. Prometheus has more, such as `query`."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def rules_of_grafana() -> list[dict[str, Any]]:
    groups = read(GRAFANA / "provisioning" / "alerting" / "rules.yaml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts_of_prometheus() -> list[dict[str, Any]]:
    groups = [group for path in sorted(RULE_FILES.glob("*.rules.yml")) for group in read(path)["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_grafana_has_the_alerts_of_prometheus_and_no_others() -> None:
    ours = [
        (rule["alert"], rule["labels"]["severity"], rule["expr"].strip(), rule.get("for", "0s"))
        for rule in alerts_of_prometheus()
    ]
    theirs = [
        (
            rule["title"].partition(" ")[0],
            rule["labels"]["severity"],
            rule["data"][0]["model"]["expr"],
            rule["for"],
        )
        for rule in rules_of_grafana()
    ]
    assert theirs == ours


def test_ids_and_titles_are_unique_and_made_from_names() -> None:
    rules = rules_of_grafana()
    ids = [rule["uid"] for rule in rules]
    assert len(set(ids)) == len({rule["title"] for rule in rules}) == len(rules)
    assert [uid for uid in ids if not UID.fullmatch(uid)] == []
    assert all(rule["uid"].startswith(rule["title"].partition(" ")[0]) for rule in rules)


def test_silence_is_no_alert_and_a_failing_query_is_an_error() -> None:
    assert {(rule["noDataState"], rule["execErrState"]) for rule in rules_of_grafana()} == {("OK", "Error")}


def test_annotations_use_only_functions_that_grafana_has_too() -> None:
    texts = [text for rule in rules_of_grafana() for text in rule["annotations"].values()]
    actions = [re.sub(r'"[^"]*"', "", action) for text in texts for action in re.findall(r"{{(.*?)}}", text)]
    assert {word for action in actions for word in re.findall(r"(?<![$.\w])[A-Za-z]\w*", action)} <= FUNCTIONS


def test_a_rule_fires_where_prometheus_has_a_series_whatever_its_value() -> None:
    rule = alert_rule(
        {
            "alert": "CallstreamDown",
            "expr": "absent(up == 1)\n",
            "labels": {"severity": "critical"},
            "annotations": {"description": "{{ $value | humanize }} of {{ $labels.role }}; $values stays"},
            "keep_firing_for": "10m",
        },
        is_only=False,
        panels={("callstream-pipeline", "Roles, as Prometheus sees them"): 7},
    )
    assert rule == {
        "uid": "CallstreamDown-c",
        "title": "CallstreamDown (critical)",
        "condition": "FIRING",
        "data": [
            {
                "refId": "VALUE",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": "callstream-prometheus",
                "model": {"refId": "VALUE", "expr": "absent(up == 1)", "instant": True, "range": False},
            },
            {
                "refId": "FIRING",
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "FIRING",
                    "type": "math",
                    "expression": "is_number($VALUE) || is_nan($VALUE) || is_inf($VALUE)",
                },
            },
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": "0s",
        "keepFiringFor": "10m",
        "dashboardUid": "callstream-pipeline",
        "panelId": 7,
        "labels": {"severity": "critical"},
        "annotations": {
            "description": "{{ $values.VALUE.Value | humanize }} of {{ $labels.role }}; $values stays"
        },
    }


def test_every_rule_leads_to_a_panel_that_shows_what_it_is_about() -> None:
    """At least one metric of the rule, through the recorded series that it reads, is on the panel."""
    dashboards = {path.stem: json.loads(path.read_text()) for path in expressions.DASHBOARDS.glob("*.json")}
    recorded = {
        rule["record"]: rule["expr"]
        for path in RULE_FILES.glob("*.rules.yml")
        for group in read(path)["groups"]
        for rule in group["rules"]
        if "record" in rule
    }

    def metrics(expr: str) -> set[str]:
        found = set(re.findall(r"\b(?:callstream_\w+|up)\b", expr))
        return found.union(*(metrics(recorded[name]) for name in recorded if name in expr))

    apart = []
    for rule in rules_of_grafana():
        panels = dashboards[rule["dashboardUid"]]["panels"]
        (panel,) = (one for one in panels if one["id"] == rule["panelId"])
        shown = set[str]().union(*(metrics(target["expr"]) for target in panel["targets"]))
        if not shown & metrics(rule["data"][0]["model"]["expr"]):
            apart.append((rule["title"], panel["title"]))
    assert apart == []


def test_the_rules_ask_the_data_source_that_is_provisioned() -> None:
    (source,) = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    asked = {rule["data"][0]["datasourceUid"] for rule in rules_of_grafana()}
    assert asked == {source["uid"]}


def test_the_example_policies_send_to_the_example_contact_points() -> None:
    points = {one["name"] for one in read(GRAFANA / "examples" / "contact-points.yaml")["contactPoints"]}
    (policy,) = read(GRAFANA / "examples" / "notification-policies.yaml")["policies"]
    routes = policy["routes"]
    assert {policy["receiver"], *(route["receiver"] for route in routes)} == points
    severities = {value for route in routes for _, _, value in route["object_matchers"]}
    assert severities <= {rule["labels"]["severity"] for rule in rules_of_grafana()}
