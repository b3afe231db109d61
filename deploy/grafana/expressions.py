"""The queries of a dashboard's panels, as Grafana sends them to Prometheus.

The tests and the pictures use it: there is no Grafana in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = Path(__file__).parent / "dashboards"

EVERYTHING = {"provider": ".*", "account": ".*", "direction": ".*", "call": ""}
"""The variables' values when nothing is chosen."""


class PanelQuery(NamedTuple):
    """One query of one panel. `legend` names a series by its labels in double braces."""

    dashboard: str
    panel: str
    kind: str
    expr: str
    legend: str
    instant: bool


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard's JSON, without the rows."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def panel_queries(dashboard: Mapping[str, Any], window: str) -> Iterator[PanelQuery]:
    """The queries of all panels, with everything chosen. `window`: the value of `$__rate_interval`."""
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            yield PanelQuery(
                dashboard["title"],
                panel["title"],
                panel["type"],
                filled_in(target["expr"], {**EVERYTHING, "__rate_interval": window}),
                target.get("legendFormat", ""),
                target.get("instant", False),
            )


def filled_in(expr: str, values: Mapping[str, str]) -> str:
    """The expression with its variables' values. Raises KeyError for an unknown variable."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expr)


def series_name(legend: str, labels: Mapping[str, str]) -> str:
    """A series' name in the legend."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend) or ", ".join(
        labels.values()
    )
