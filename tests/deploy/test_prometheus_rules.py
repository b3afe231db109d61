"""The rule files of Prometheus: written from their templates, and what every alert must say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus import render

FILES = sorted(render.HERE.glob("*.rules.yml"))


def rules() -> list[dict[str, Any]]:
    groups = [group for path in FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def test_the_committed_rules_are_those_of_the_templates() -> None:
    assert {path.name: path.read_text() for path in FILES} == render.rule_files(render.read_values())


def test_every_value_is_used() -> None:
    templates = "".join(path.read_text() for path in (render.HERE / "templates").iterdir())
    assert [name for name in render.read_values() if f"${{{name}}}" not in templates] == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_an_alert_says_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    notes = alert["annotations"]
    assert alert["alert"].startswith("Callstream")
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert "{{" not in notes["summary"]
    assert notes["runbook_url"] == f"{render.read_values()['runbook']}#{alert['alert'].lower()}"


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
