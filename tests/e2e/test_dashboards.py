"""After two minutes of `callstream up --observe` every panel has data, but for those that wait for more."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator

import pytest

from deploy.grafana import expressions
from deploy.grafana.expressions import Period
from stream.cli.local import observability
from tests.e2e.harness import wait_until
from tests.e2e.test_up import FIRST_ALERT_S, leaving_nothing, local_stack

pytestmark = pytest.mark.e2e

OBSERVED_S = 130.0
WINDOW = "1m"

MAY_BE_EMPTY = {
    ("Calls", "Firing alerts"): "none fires",
    ("Pipeline", "Firing alerts"): "none fires",
    ("Pipeline", "Errors while processing"): "there is none",
    ("Pipeline", "Duration of a rebalance"): "no worker joins or leaves after the first scrape",
    ("Pipeline", "Sinks that take alerts"): "no sink is configured",
    ("Pipeline", "Notifications, by sink and outcome"): "no sink is configured",
    ("Pipeline", "Alerts that wait, by sink"): "no sink is configured",
    ("Calls", "Whose fault it was"): "no call has settled yet",
    ("Archive and API", "Time to answer, by route"): "nobody asks",
}
"""Panels that are empty then while nothing is wrong: dashboard, panel, and why."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Period]]:
    """The base URL of the Prometheus of a run that goes on, and the period that it has seen."""
    if shutil.which("prometheus") is None:
        pytest.skip(f"Prometheus is not installed. {observability.HOW_TO_GET}")
    directory = tmp_path_factory.mktemp("observed")
    home = local_stack(directory, "--observe")
    with leaving_nothing(home):
        home.start()
        wait_until(lambda: "worker running" in home.output(), "the worker runs", FIRST_ALERT_S)
        began = time.time()
        time.sleep(OBSERVED_S)
        at = re.search(r"^prometheus: (http://[^/]+)/", home.output(), re.MULTILINE)
        assert at is not None, home.output()
        yield at[1], Period(began, time.time(), observability.EVERY_S)


def test_every_panel_has_data(prometheus: tuple[str, Period]) -> None:
    url, period = prometheus
    report: dict[tuple[str, str], str] = {}
    for file in sorted(expressions.DASHBOARDS.glob("*.json")):
        dashboard = json.loads(file.read_text())
        for query in expressions.panel_queries(dashboard, WINDOW):
            series = [one for one in expressions.answer(url, query, period) if one.points]
            values = {value for one in series for value in one.points.values()}
            found = "empty" if not series else "0" if values == {0} else "data"
            place = (query.dashboard, query.panel)
            report[place] = max(report.get(place, ""), found, key=["", "empty", "0", "data"].index)
            print(f"{found:5} {len(series):3} {query.dashboard} / {query.panel}: {query.legend}")
    empty = {place for place, found in report.items() if found == "empty"}
    counts = {found: list(report.values()).count(found) for found in ("data", "0", "empty")}
    print(
        f"{len(report)} panels: {counts['data']} with data, {counts['0']} with zeros, {counts['empty']} empty"
    )
    assert empty <= MAY_BE_EMPTY.keys()
