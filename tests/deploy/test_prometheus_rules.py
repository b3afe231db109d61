"""The rule files of Prometheus: written from their templates, and what every alert must say."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus import render
from stream.core.alerting.scopes import CONDITIONS
from stream.core.sources import PUSHED_SOURCES, TELNYX_TEXML_CALLBACK
from tests.tree import ROOT

FILES = sorted(render.HERE.glob("*.rules.yml"))
TESTS = sorted((Path(__file__).parent / "rules").glob("*.test.yml"))


def rules() -> list[dict[str, Any]]:
    groups = [group for path in FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def cases() -> list[dict[str, Any]]:
    """Every case of every alert in the tests that promtool runs (`deploy/check.sh`)."""
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    return [case for test in tests for case in test.get("alert_rule_test", ())]


ALERTS = [rule for rule in rules() if "alert" in rule]


def test_the_committed_rules_are_those_of_the_templates() -> None:
    assert {path.name: path.read_text() for path in FILES} == render.rule_files(render.read_values())


def test_every_value_is_used() -> None:
    templates = "".join(path.read_text() for path in (render.HERE / "templates").iterdir())
    assert [name for name in render.read_values() if f"${{{name}}}" not in templates] == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: "-".join((one["alert"], one["labels"]["severity"])))
def test_an_alert_says_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    notes = alert["annotations"]
    assert alert["alert"].startswith("Callstream")
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert "{{" not in notes["summary"]
    assert notes["runbook_url"] == f"{render.read_values()['runbook']}#{alert['alert'].lower()}"


def test_every_alert_has_a_case_that_fires_and_one_that_is_quiet() -> None:
    fires = {
        (case["alertname"], fired["exp_labels"]["severity"])
        for case in cases()
        for fired in case["exp_alerts"]
    }
    assert fires == {(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS}
    assert {case["alertname"] for case in cases() if case["exp_alerts"] == []} == {name for name, _ in fires}


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_groups_are_evaluated_in_a_fixed_order(path: Path) -> None:
    """Without it a test that reads a recorded series fails now and then."""
    test = yaml.safe_load(path.read_text())
    groups = [
        group["name"]
        for name in test["rule_files"]
        for group in yaml.safe_load((path.parent / name).read_text())["groups"]
    ]
    assert test["group_eval_order"] == groups


def test_the_pushed_sources_are_those_of_every_step_of_a_call() -> None:
    named = set(render.read_values()["pushed_sources"].split("|"))
    assert named == {*PUSHED_SOURCES, TELNYX_TEXML_CALLBACK}


def runbook() -> dict[str, str]:
    """The sections of docs/alerts.md by heading."""
    text = (ROOT / "docs/alerts.md").read_text()
    return dict(part.split("\n", 1) for part in text.split("\n## ")[1:])


def test_the_conditions_are_the_rules_about_more_than_one_call() -> None:
    conditions = [one.rule_id for kind in CONDITIONS.values() for one in kind]
    assert sorted(render.read_values()["conditions.rules"].split("|")) == sorted(conditions)


def test_every_alert_has_its_section_in_the_runbook() -> None:
    severities: dict[str, set[str]] = defaultdict(set)
    summaries = {alert["alert"]: alert["annotations"]["summary"] for alert in ALERTS}
    for alert in ALERTS:
        severities[alert["alert"]].add(alert["labels"]["severity"])
    assert runbook().keys() == severities.keys()
    for name, text in runbook().items():
        head = text.strip().splitlines()[0]
        assert set(re.findall("critical|warning|info", head.lower())) == severities[name], name
        assert head.endswith(f" {summaries[name]}"), name


def test_the_runbook_names_panels_that_exist() -> None:
    panels = {
        f"{dashboard['title']}: {panel['title']}"
        for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")
        for dashboard in [json.loads(path.read_text())]
        for panel in dashboard["panels"]
    }
    named = re.findall(r"(?<!\*)\*([^*\n]+: [^*\n]+)\*(?!\*)", "".join(runbook().values()))
    assert len(named) > 40
    assert set(named) - panels == set()


def test_a_faster_clock_divides_durations_and_nothing_else() -> None:
    values = {"window": "15m", "for": "1s", "age_s": 60, "series": 'job="x"', "short_call": "10.0"}
    faster = values | {"window": "15s", "for": "17ms"}
    assert render.shortened(values, 60) == faster
    assert render.shortened(values, 1) == values


def test_a_value_that_no_rule_has_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("[kpi]\nwindow = '5m'\nwindwo = '5m'")
    with pytest.raises(KeyError, match=r"kpi\.windwo"):
        render.read_values(mine)
