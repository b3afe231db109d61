"""A dashboard from its rows: variables, numbered panels, links to the other dashboards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    TextBoxVariable,
)
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.builders.panels import DATA_SOURCE, AnyPanel

TAG = "callstream"
GRID_WIDTH = 24

Variable = DatasourceVariable | QueryVariable | TextBoxVariable


class Question(NamedTuple):
    """A row: the question, and the panels that answer it."""

    text: str
    panels: Sequence[AnyPanel]


def data_source() -> DatasourceVariable:
    """Which Prometheus."""
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def label(name: str, title: str, family: str) -> QueryVariable:
    """The values of a label, taken from a family that every installation has."""
    return (
        QueryVariable(name)
        .label(title)
        .datasource(DATA_SOURCE)
        .query({"query": f"label_values(callstream_{family}, {name})", "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def provider() -> QueryVariable:
    return label("provider", "Provider", "calls_started_total")


def assembled(
    uid: str, title: str, description: str, variables: Iterable[Variable], questions: Iterable[Question]
) -> models.Dashboard:
    """The whole dashboard. Panels are numbered in the order in which they are read."""
    made = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(
            DashboardLink("callstream")
            .type(models.DashboardLinkType.DASHBOARDS)
            .icon("external link")
            .tooltip("The other dashboards, for the same time and values")
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )
    for variable in variables:
        made.with_variable(variable)
    number = 0
    for question in questions:
        number += 1
        made.with_row(Row(question.text).id(number))
        for panel in question.panels:
            number += 1
            made.with_panel(panel.id(number))
    return made.build()
