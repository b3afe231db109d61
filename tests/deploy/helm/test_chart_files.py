"""What the chart repeats is what it was made from. Helm is not needed."""

from __future__ import annotations

import runpy
import tomllib
from dataclasses import fields
from typing import Any

import yaml

from stream.service.settings import Settings
from tests.deploy.helm.chart import CHART, ROOT

WRITER: dict[str, Any] = runpy.run_path(str(ROOT / "deploy" / "helm" / "write_chart.py"))


def test_the_chart_repeats_settings_rules_and_dashboards_as_they_are() -> None:
    written = WRITER["written"]()
    assert {path.name: path.read_text() for path in written} == {
        path.name: text for path, text in written.items()
    }, "run `make chart`"
    there = {path for folder in WRITER["COPIED"] for path in folder.glob("*")}
    assert there <= written.keys(), "run `make chart`, and delete what is no longer a rule or dashboard"


def test_the_chart_has_the_version_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_what_the_chart_sets_itself_are_settings() -> None:
    assert WRITER["SET_BY_CHART"] | WRITER["FILES"] <= {about.name for about in fields(Settings)}
