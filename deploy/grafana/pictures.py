"""Draws the dashboards from a Prometheus' data, one picture a row, to see whether the panels make sense.

Usage: python -m deploy.grafana.pictures DIRECTORY --prometheus URL [--minutes N]

It is not Grafana: it shows what the queries return, with each panel's unit, limits, stacking and legend. It
needs the extra `pictures`.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from deploy.grafana import expressions
from deploy.grafana.expressions import PanelQuery, Period, Series

POINTS = 200
"""Values of a series across a picture."""

WINDOW = "1m"
"""The value of `$__rate_interval`."""

CELL_WIDTH_IN, CELL_HEIGHT_IN = 0.7, 0.45
"""The size of a cell of Grafana's grid, in inches."""

SCALES = {
    "percentunit": ((1, 100, " %"),),
    "bytes": ((2**30, 2**-30, " GiB"), (2**20, 2**-20, " MiB"), (0, 1, " B")),
    "s": ((120, 1 / 60, " min"), (1, 1, " s"), (1e-3, 1e3, " ms"), (0, 1e6, " µs")),
    "short": ((1e6, 1e-6, " M"), (1e3, 1e-3, " k"), (0, 1, "")),
}
"""For each unit: from which value on, the factor, and the suffix."""


def shown(value: float, unit: str) -> str:
    """A value in its unit, about as Grafana writes it."""
    if unit.startswith("suffix:"):
        return f"{value:,.4g}{unit.removeprefix('suffix:')}"
    scales = SCALES[unit]
    _, factor, suffix = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
    return f"{value * factor:.3g}{suffix}" if value else f"0{scales[-1][2] if unit != 's' else ' s'}"


def rows(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The questions of a dashboard, each with its panels."""
    question, panels = "", list[dict[str, Any]]()
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            panels.append(panel)
            continue
        if panels:
            yield question, panels
        question, panels = panel["title"], []
    yield question, panels


def draw_row(
    dashboard: Mapping[str, Any], question: str, panels: list[dict[str, Any]], prometheus: str, period: Period
) -> Figure:
    """One row of a dashboard."""
    places = [panel["gridPos"] for panel in panels]
    top, bottom = min(at["y"] for at in places), max(at["y"] + at["h"] for at in places)
    height = bottom - top
    figure = Figure(figsize=(24 * CELL_WIDTH_IN, height * CELL_HEIGHT_IN + 0.5))
    figure.suptitle(f"{dashboard['title']}: {question}", x=0.01, ha="left", fontsize=11, weight="bold")
    share = height * CELL_HEIGHT_IN / (height * CELL_HEIGHT_IN + 0.5)
    for panel, at in zip(panels, places, strict=True):
        x, y = at["x"] / 24, (bottom - at["y"] - at["h"]) / height * share
        w, h = at["w"] / 24, at["h"] / height * share
        legend_h = 0.26 * h if panel["type"] == "timeseries" else 0
        axes = figure.add_axes((x + 0.05, y + 0.1 * h + legend_h, w - 0.06, 0.74 * h - legend_h))
        axes.set_title(panel["title"], fontsize=8, loc="left")
        axes.tick_params(labelsize=6)
        answers = [
            (query, expressions.answer(prometheus, query, period))
            for query in expressions.queries(dashboard, panel, WINDOW)
        ]
        DRAWERS[panel["type"]](axes, panel, answers)
    return figure


Answers = list[tuple[PanelQuery, list[Series]]]


def draw_lines(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """Series over time, with a legend below."""
    defaults = panel["fieldConfig"]["defaults"]
    colours = {
        override["matcher"]["options"].strip("/"): property_["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        for property_ in override["properties"]
        if property_["id"] == "color"
    }

    def colour_of(name: str) -> str | None:
        return next((colour for pattern, colour in colours.items() if re.search(pattern, name)), None)

    named = [
        (expressions.name_of(one, query.legend), one)
        for query, found in answers
        for one in found
        if one.points
    ]
    if not named:
        nothing(axes)
        return
    times = sorted({moment for _, one in named for moment in one.points})
    values = [[one.points.get(moment, float("nan")) for moment in times] for _, one in named]
    at = [datetime.fromtimestamp(moment, UTC) for moment in times]
    stacking = defaults["custom"].get("stacking", {}).get("mode")
    if stacking:
        filled = [[0 if value != value else value for value in one] for one in values]
        if stacking == "percent":
            sums = [sum(column) or 1 for column in zip(*filled, strict=True)]
            filled = [[value / whole for value, whole in zip(one, sums, strict=True)] for one in filled]
        palette = [colour_of(name) or f"C{number}" for number, (name, _) in enumerate(named)]
        axes.stackplot(at, *filled, labels=[name for name, _ in named], colors=palette, alpha=0.6)
    else:
        for (name, _), one in zip(named, values, strict=True):
            axes.plot(at, one, label=name, linewidth=1, color=colour_of(name), marker=".", markersize=1)
    if defaults["custom"].get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0, top=defaults.get("max"))
    unit = "percentunit" if stacking == "percent" else defaults["unit"]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    highest = axes.get_ylim()[1]
    for step in defaults["thresholds"]["steps"][1:]:
        if step["value"] <= 2 * highest:
            axes.axhline(step["value"], color=step["color"], linestyle="--", linewidth=0.7)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.12), ncols=3, fontsize=5, frameon=False)
    axes.text(1, 1.02, f"{len(named)} series", transform=axes.transAxes, fontsize=5, ha="right", color="grey")


def draw_number(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """The last value, in the colour of its limits."""
    axes.axis("off")
    found = [one for _, series in answers for one in series if one.points]
    if not found:
        nothing(axes)
        return
    defaults = panel["fieldConfig"]["defaults"]
    value = list(found[0].points.values())[-1]
    colour = [step["color"] for step in defaults["thresholds"]["steps"] if (step["value"] or 0) <= value][-1]
    axes.text(0.5, 0.4, shown(value, defaults["unit"]), ha="center", va="center", fontsize=15, color=colour)


def draw_heat_map(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """Counts of each bucket over time. Prometheus' buckets are cumulative."""
    found = sorted(answers[0][1], key=lambda one: float(one.labels["le"]))
    times = sorted({moment for one in found for moment in one.points})
    if not times:
        nothing(axes)
        return
    cumulative = [[one.points.get(moment, 0) for moment in times] for one in found]
    below = [[0.0] * len(times), *cumulative[:-1]]
    counts = [
        [max(0, a - b) for a, b in zip(*rows, strict=True)] for rows in zip(cumulative, below, strict=True)
    ]
    at = [datetime.fromtimestamp(moment, UTC) for moment in times]
    axes.pcolormesh(at, range(len(found)), counts, cmap="Blues", shading="nearest")
    unit = panel["options"]["yAxis"]["unit"]
    labels = [shown(float(one.labels["le"]), unit) if one.labels["le"] != "+Inf" else "∞" for one in found]
    axes.set_yticks(range(len(found)), labels)


def draw_table(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """A row for each set of labels, a column for each query."""
    axes.axis("off")
    found: dict[str, dict[int, float]] = {}
    for column, (_, series) in enumerate(answers):
        for one in series:
            for value in one.points.values():
                found.setdefault(", ".join(one.labels.values()), {})[column] = value
    units = [
        property_["value"]
        for override in panel["fieldConfig"]["overrides"]
        for property_ in override["properties"]
        if property_["id"] == "unit"
    ]
    for number, (name, values) in enumerate(sorted(found.items())):
        cells = [
            shown(values[column], unit) if column in values else "–" for column, unit in enumerate(units)
        ]
        axes.text(
            0,
            0.95 - number * 0.09,
            f"{name:70} " + "   ".join(f"{cell:>10}" for cell in cells),
            fontsize=7,
            family="monospace",
        )


def draw_text(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """The source of the Markdown."""
    axes.axis("off")
    axes.text(0, 1, panel["options"]["content"].replace("$", r"\$"), fontsize=7, va="top", family="monospace")


def nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="grey")


DRAWERS = {
    "timeseries": draw_lines,
    "stat": draw_number,
    "heatmap": draw_heat_map,
    "table": draw_table,
    "text": draw_text,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws the dashboards from a Prometheus' data.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its base URL")
    parser.add_argument("--minutes", type=float, default=10, help="how far back the pictures go")
    parser.add_argument("--until", type=float, default=None, help="the end of the period, in Unix time")
    options = parser.parse_args()
    mpl.use("agg")
    end = options.until or time.time()
    period = Period(end - 60 * options.minutes, end, max(1, 60 * options.minutes / POINTS))
    options.directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(expressions.DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        for number, (question, panels) in enumerate(rows(dashboard), 1):
            figure = draw_row(dashboard, question, panels, options.prometheus, period)
            figure.savefig(options.directory / f"{path.stem}-{number}.png", dpi=90)


if __name__ == "__main__":
    main()
