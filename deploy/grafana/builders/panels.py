"""The kinds of panels: number, line chart, stacked chart, heat map, table, text.

Each panel needs a description. Each that shows values needs a unit and its thresholds; `PLAIN` says that no
value of it is bad by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from deploy.grafana.builders import queries as q
from deploy.grafana.builders.limits import PLAIN, Limits

AnyPanel = timeseries.Panel | stat.Panel | heatmap.Panel | table.Panel | text.Panel

DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

SHARE = "percentunit"
SECONDS = "s"
COUNT = "short"
BYTES = "bytes"
PER_SECOND = "suffix:/s"
PER_MINUTE = "suffix:/min"
CALLS_PER_MINUTE = "suffix: calls/min"
CORES = "suffix: cores"

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = (
    "green",
    "yellow",
    "orange",
    "red",
    "blue",
    "purple",
    "#8e8e8e",
)

OUTCOMES = {
    "answered": GREEN,
    "busy": YELLOW,
    "no_answer": BLUE,
    "canceled": PURPLE,
    "rejected": ORANGE,
    "failed": RED,
    "unknown": GREY,
}
CODE_CLASSES = {"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED, "timeout": PURPLE, "none": GREY}
ACCOUNT_STATES = {"throttled": YELLOW, "refused": RED, "unreachable": ORANGE}
LEVELS = {"debug": GREY, "info": BLUE, "warning": YELLOW, "error": RED}


class Query(NamedTuple):
    """An expression, and how its series are named: labels in double braces."""

    expr: str
    legend: str = ""


def quantiles(
    name: str, *selectors: str, by: str = "", shares: Sequence[float] = (0.5, 0.99)
) -> Sequence[Query]:
    """Quantiles of a histogram, for each value of the label `by`."""
    of = f" {{{{{by}}}}}" if by else ""
    return [Query(q.quantile(share, name, *selectors, by=by), f"p{100 * share:g}{of}") for share in shares]


def number(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    limits: Limits,
    width: int = 3,
) -> stat.Panel:
    """One figure, as it is now, over its course."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .with_target(_target(query, 0))
        .unit(unit)
        .thresholds(_thresholds(limits))
        .no_value("no data")
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .height(4)
        .span(width)
    )
    # An increase is extrapolated: without this it is 34.1 calls.
    return panel.decimals(0) if unit == COUNT else panel


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    limits: Limits = PLAIN,
    width: int = 12,
    colours: Mapping[str, str] | None = None,
    stacked: Literal["", "normal", "percent"] = "",
    logarithmic: bool = False,
    most: float | None = None,
    link: tuple[str, str] | None = None,
) -> timeseries.Panel:
    """Series over time. Limits are dashed lines.

    - `colours`: of the series whose name ends with this word.
    - `most`: the top of the axis.
    - `link`: title and URL, for each value.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .targets([_target(query, at) for at, query in enumerate(queries)])
        .unit(unit)
        .min(0)
        .thresholds(_thresholds(limits))
        .line_width(1)
        .fill_opacity(40 if stacked else 5)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(8)
        .span(width)
    )
    if most is not None:
        panel.max(most)
    if link is not None:
        panel.data_links([dashboard.DashboardLink(link[0]).url(link[1]).target_blank(True)])
    if limits != PLAIN:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode(stacked)))
    if logarithmic:
        panel.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    for name, colour in (colours or {}).items():
        panel.override_by_regexp(
            rf"/\b{name}$/", [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]
        )
    return panel


def heat_map(title: str, description: str, expr: str, *, unit: str, width: int = 8) -> heatmap.Panel:
    """How a histogram's values are distributed over time: the darker, the more."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .with_target(_target(Query(expr, "{{le}}"), 0).format(PromQueryFormat.HEATMAP))
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_values(heatmap.CellValues().unit(COUNT))
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64))
        .filter_values(heatmap.FilterValueRange().le(0.01))
        .show_legend()
        .unit(unit)
        .thresholds(_thresholds(PLAIN))
        .height(8)
        .span(width)
    )


class Column(NamedTuple):
    """A column of a table: its query, title, unit and limits."""

    expr: str
    title: str
    unit: str
    limits: Limits = PLAIN


def rows(
    title: str,
    description: str,
    *columns: Column,
    labels: Mapping[str, str],
    height: int = 8,
) -> table.Panel:
    """A row for each set of labels, a column for each query, as they are now. `labels`: name and title."""
    names = {f"Value #{_ref(at)}": column.title for at, column in enumerate(columns)}
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .targets(
            [
                _target(Query(column.expr), at).instant().format(PromQueryFormat.TABLE)
                for at, column in enumerate(columns)
            ]
        )
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {"Time": True}, "renameByName": {**labels, **names}},
            )
        )
        .thresholds(_thresholds(PLAIN))
        .height(height)
        .span(24)
    )
    for column in columns:
        panel.override_by_name(
            column.title,
            [
                DynamicConfigValue("unit", column.unit),
                DynamicConfigValue("thresholds", _thresholds(column.limits).build()),
                DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ],
        )
    return panel


def firing_alerts() -> table.Panel:
    """Which alerts fire now, of all groups: the first thing to know on any dashboard."""
    return rows(
        "Firing alerts",
        "Alerts that Prometheus evaluates and that fire now. Empty: none. Each has its section in the "
        "runbook.",
        Column(
            'count by (alertname, severity) (ALERTS{alertname=~"Callstream.+", alertstate="firing"})',
            "Firing",
            COUNT,
        ),
        labels={"alertname": "Alert", "severity": "Severity"},
        height=5,
    )


def words(title: str, description: str, content: str, *, height: int) -> text.Panel:
    """Markdown."""
    return (
        text.Panel()
        .title(title)
        .description(description)
        .mode(TextMode.MARKDOWN)
        .content(content)
        .height(height)
        .span(24)
    )


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    steps: list[tuple[float | None, str]]
    if limits == PLAIN:
        steps = [(None, BLUE)]
    elif limits.below:
        steps = [(None, RED), (limits.critical, YELLOW), (limits.warning, GREEN)]
    else:
        steps = [(None, GREEN), (limits.warning, YELLOW), (limits.critical, RED)]
    known = [
        Threshold(value, colour) for at, (value, colour) in enumerate(steps) if not at or value is not None
    ]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(known)


def _target(query: Query, at: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(_ref(at)).range().datasource(DATA_SOURCE)
    return target.legend_format(query.legend) if query.legend else target


def _ref(at: int) -> str:
    return "ABCDEFGH"[at]
