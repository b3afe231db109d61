"""The dashboards: committed as built, complete, readable by Grafana's types, and valid PromQL."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import expressions
from deploy.grafana.builders.__main__ import files
from stream.cli.main import main
from stream.service.metrics.catalogue import ROLES
from stream.service.metrics.family import SHARED
from tests.tree import ROOT

DASHBOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted(expressions.DASHBOARDS.glob("*.json"))
}


@pytest.fixture(params=DASHBOARDS, ids=str)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return DASHBOARDS[request.param]


def test_what_is_committed_is_what_the_builders_make() -> None:
    made = files()
    assert {path: path.read_text() for path in made} == made, "run `make dashboards`"
    assert {path.name for path in expressions.DASHBOARDS.iterdir()} == {
        path.name for path in made if path.parent == expressions.DASHBOARDS
    }


def test_grafanas_own_types_read_a_dashboard_and_lose_nothing(dashboard: dict[str, Any]) -> None:
    read = Dashboard.from_json(dashboard)
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == dashboard


def test_every_row_asks_a_question_and_has_panels(dashboard: dict[str, Any]) -> None:
    kinds = [panel["type"] for panel in dashboard["panels"]]
    assert [
        row["title"] for row in dashboard["panels"] if row["type"] == "row" and "?" not in row["title"]
    ] == []
    assert kinds[0] == "row"
    assert kinds[-1] != "row"
    assert ("row", "row") not in set(pairwise(kinds))


def test_every_panel_says_what_it_shows_in_which_unit_and_when_it_is_bad(dashboard: dict[str, Any]) -> None:
    for panel in expressions.panels(dashboard):
        assert panel["description"].endswith((".", "?")), panel["title"]
        if panel["type"] == "text":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["thresholds"]["steps"], panel["title"]
        if panel["type"] != "table":
            assert defaults["unit"], panel["title"]
            continue
        columns = [{value["id"] for value in one["properties"]} for one in panel["fieldConfig"]["overrides"]]
        assert len(columns) == len(panel["targets"])
        assert all({"unit", "thresholds"} <= ids for ids in columns), panel["title"]


def test_every_query_goes_to_the_chosen_data_source(dashboard: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in expressions.panels(dashboard):
        assert [
            target["datasource"] for target in panel.get("targets", ()) if target["datasource"] != chosen
        ] == []
        assert panel["type"] == "text" or panel["datasource"] == chosen
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)


def test_what_never_was_has_no_age(dashboard: dict[str, Any]) -> None:
    """Its time is 0, and its age would be more than fifty years. A heartbeat that never was has no series."""
    ages = [
        query.expr
        for query in expressions.panel_queries(dashboard, "1m")
        if "time() - " in query.expr and "callstream_heartbeat_" not in query.expr
    ]
    assert [one for one in ages if "> 0" not in one] == []


def test_every_variable_is_used_and_every_used_one_exists(dashboard: dict[str, Any]) -> None:
    text = json.dumps(list(expressions.panels(dashboard)))
    used = set(re.findall(r"\$\{?([a-z]\w+)\}?", text))
    assert used == {variable["name"] for variable in dashboard["templating"]["list"]}


def test_panels_fill_their_lines_and_have_numbers_of_their_own(dashboard: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    covered: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & covered, panel["title"]
        covered |= cells
    height = max(y for _, y in covered) + 1
    assert covered == {(x, y) for x in range(24) for y in range(height)}


def test_titles_and_addresses_are_unique() -> None:
    assert len({one["title"] for one in DASHBOARDS.values()}) == len(DASHBOARDS)
    assert {one["uid"] for one in DASHBOARDS.values()} == DASHBOARDS.keys()


@pytest.mark.parametrize("page", ["docs/alert-rules.md", "stream/core/alerting/rules.toml"])
def test_the_example_of_a_link_opens_the_dashboard_of_one_call(page: str) -> None:
    ((uid, name),) = re.findall(r"/d/([\w-]+)\?var-(\w+)=", (ROOT / page).read_text())
    assert name in {variable["name"] for variable in DASHBOARDS[uid]["templating"]["list"]}


def test_the_commands_on_a_dashboard_are_those_of_callstream(dashboard: dict[str, Any]) -> None:
    texts = [
        panel["options"]["content"] for panel in expressions.panels(dashboard) if panel["type"] == "text"
    ]
    for line in re.findall(r"^callstream .*$", "\n".join(texts), re.MULTILINE):
        _, name, *arguments = line.partition(" | ")[0].split()
        command = main.get_command(click.Context(main), name)
        assert command is not None, line
        command.make_context(name, arguments)


def test_every_metric_is_on_a_dashboard() -> None:
    text = json.dumps(list(DASHBOARDS.values()))
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bcallstream_(\w+)", text)}
    exported = {family.name for families in (SHARED, *ROLES.values()) for family in families}
    assert exported - shown == set()


def test_prometheus_reads_every_expression(dashboard: dict[str, Any], tmp_path: Path) -> None:
    """As the expressions of recording rules, which `promtool` parses."""
    if (promtool := shutil.which("promtool")) is None:
        assert "CALLSTREAM_REQUIRE_TOOLS" not in os.environ
        pytest.skip("promtool is not installed")
    asked = list(expressions.panel_queries(dashboard, "1m"))
    rules = [{"record": f"panel:{at}", "expr": query.expr} for at, query in enumerate(asked)]
    file = tmp_path / "expressions.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(asked)} rules found" in checked.stdout
