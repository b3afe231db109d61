"""The queries of the dashboards' panels, and what a Prometheus answers to them.

The test of a real run and the pictures use it: there is no Grafana in them.
"""

from __future__ import annotations

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = Path(__file__).parent / "dashboards"

EVERYTHING = {"provider": ".*", "account": ".*", "direction": ".*", "call": ""}
"""The variables' values when nothing is chosen."""

LIMIT_S = 30.0
"""How long a query may take."""


class PanelQuery(NamedTuple):
    """One query of one panel. `legend` names a series by its labels in double braces."""

    dashboard: str
    panel: str
    expr: str
    legend: str
    instant: bool


class Series(NamedTuple):
    """One series of an answer: its labels, and its values by Unix time. NaN and infinity are left out."""

    labels: Mapping[str, str]
    points: Mapping[float, float]


class Period(NamedTuple):
    """From when to when a panel shows values, in Unix time, and one value for how many seconds."""

    start: float
    end: float
    step: float


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard's JSON, without the rows."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def panel_queries(dashboard: Mapping[str, Any], window: str) -> Iterator[PanelQuery]:
    """The queries of all panels, with everything chosen. `window`: the value of `$__rate_interval`."""
    for panel in panels(dashboard):
        yield from queries(dashboard, panel, window)


def queries(dashboard: Mapping[str, Any], panel: Mapping[str, Any], window: str) -> Iterator[PanelQuery]:
    """The queries of one panel."""
    for target in panel.get("targets", ()):
        yield PanelQuery(
            dashboard["title"],
            panel["title"],
            filled_in(target["expr"], {**EVERYTHING, "__rate_interval": window}),
            target.get("legendFormat", ""),
            target["instant"],
        )


def filled_in(expr: str, values: Mapping[str, str]) -> str:
    """The expression with its variables' values. Raises KeyError for an unknown variable."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expr)


def answer(prometheus: str, query: PanelQuery, period: Period) -> list[Series]:
    """What the Prometheus at this base URL answers. Raises OSError if it refuses or does not answer."""
    if query.instant:
        parameters = {"query": query.expr, "time": period.end}
        found = _asked(f"{prometheus}/api/v1/query", parameters)
        return [Series(one["metric"], _finite([one["value"]])) for one in found]
    parameters = {"query": query.expr, "start": period.start, "end": period.end, "step": period.step}
    found = _asked(f"{prometheus}/api/v1/query_range", parameters)
    return [Series(one["metric"], _finite(one["values"])) for one in found]


def name_of(series: Series, legend: str) -> str:
    """How the legend names a series."""
    labels = series.labels
    if not legend:
        return ", ".join(labels.values())
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def _asked(url: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(parameters)}", timeout=LIMIT_S) as response:
        found: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return found


def _finite(values: list[tuple[float, str]]) -> dict[float, float]:
    return {time: float(text) for time, text in values if math.isfinite(float(text))}
