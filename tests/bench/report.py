"""The results of a run as tables for a person, beside the targets.

A number that misses its target is marked, and a candidate with wrong results has no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tests.bench import throughput
from tests.bench.targets import TARGETS, Target

BUSY = 0.7
"""A load above this, before anything began, is somebody else's work."""


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print every part that was measured."""
    parts = {
        "throughput": _throughput,
        "stages": _stages,
        "gateway": _gateway,
        "latency": _latency,
        "through": _through,
        "recovery": _recovery,
    }
    found: list[RenderableType] = []
    for name, part in parts.items():
        if "failed" in result.get(name, {}):
            found.append(Text(f"{name}: {result[name]['failed']}", style="red"))
        elif name in result:
            found.append(part(result))
    console.print(Group(*found))
    load = result["machine"]["load_before"]
    if load > BUSY:
        console.print(f"The machine was busy (load {load:.1f} before the start): these numbers are too low.")


def missed(result: Mapping[str, Any]) -> list[str]:
    """The targets that were measured and not met, in words."""
    return [
        f"{target.says}: {target.text(value)}, wanted {target.wanted()}"
        for target in TARGETS
        if (value := target.value(result)) is not None and not target.met(value)
    ]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _judged(result: Mapping[str, Any], name: str, otherwise: float | None, digits: int = 0) -> Text:
    """A number, green or red by its target, and the target."""
    target = _target(name)
    value = target.value(result) if target is not None else otherwise
    if value is None:
        return Text("–")
    text = f"{value:,.{digits}f}"
    if target is None:
        return Text(text)
    return Text(f"{text}  ({target.wanted()})", style="green" if target.met(value) else "red")


def _target(name: str) -> Target | None:
    return next((target for target in TARGETS if target.name == name), None)


def _throughput(result: Mapping[str, Any]) -> RenderableType:
    table = _table("Throughput: medians", "candidate", "callbacks", "a second", "CPU µs each", "RSS MB")
    details = []
    for candidate in throughput.CANDIDATES:
        found = result["throughput"][candidate.name]
        median = found["median"]
        if found["wrong"] or not median:
            table.add_row(found["says"], Text((found["wrong"] or "not run")[:400], style="red"))
            continue
        table.add_row(
            found["says"],
            f"{len(found['rounds'])} × {median['records']:,.0f}",
            _judged(result, candidate.name + ".events_per_s", median["events_per_s"]),
            _judged(result, candidate.name + ".cpu_us", median["cpu_us"], 1),
            _plain(median["rss_mb"]),
        )
        if "batch_records" in median:
            details.append(
                f"{found['says']}: batches of {median['batch_records']:.0f}, "
                f"{median['batch_process_ms']:.1f} ms to fold, {median['batch_commit_ms']:.1f} ms to commit"
            )
    table.add_row("worker : plain Faust", "", _judged(result, "ratio", None, 1))
    return Group(
        table,
        "The worker does the full job, exactly once. Plain Faust and the bare loop do a",
        "small one: drop repetitions, a table with its changelog, an alert for a failed",
        "call; at least once, or less.",
        *details,
    )


def _plain(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _stages(result: Mapping[str, Any]) -> RenderableType:
    table = _table("Stages of the worker: CPU µs a delivery", "stage", "µs")
    for stage, us in result["stages"]["summary_us"].items():
        last = stage in ("the job, all of it", "the worker, all of it")
        table.add_row(stage, f"{us:,.2f}", style="bold" if last else "", end_section=last)
    return table


def _gateway(result: Mapping[str, Any]) -> RenderableType:
    found = result["gateway"]
    columns = ("answers", "a second", "CPU µs each", "p50 ms", "p99 ms", "longest ms")
    table = _table("Gateway: signed form callbacks, answered after Kafka's acknowledgement", "load", *columns)
    says = {"full": "full speed", "half": "half of what is aimed at", "overload": "too many at once"}
    for name, says_it in says.items():
        one = found[name]
        for status, took in sorted(one["ms"].items()):
            table.add_row(
                says_it,
                f"{status}: {one['statuses'][status]:,}",
                _judged(result, f"gateway.{name}.per_s", one["per_s"]) if status == "204" else "",
                _plain(one.get("cpu_us")) if status == "204" else "",
                _plain(took["p50"], 1),
                _judged(result, f"gateway.{name}.p99", took["p99"], 1)
                if status == "204"
                else _plain(took["p99"], 1),
                _plain(took["max"], 1),
            )
    return table


def _latency(result: Mapping[str, Any]) -> RenderableType:
    found = result["latency"]
    table = _table(
        f"Latency at {found['rate']:,}/s: produced → readable, read_committed",
        "output",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "longest ms",
        "n",
    )
    for name in ("alerts", "events"):
        took = found[name + "_ms"]
        if not took:
            table.add_row(name, Text("none came", style="red"))
            continue
        cells = [_judged(result, f"latency.{name}.{p}", took[p]) for p in ("p50", "p90", "p99")]
        table.add_row(name, *cells, _plain(took["max"]), _plain(took["n"]))
    worker = found["worker"]
    return Group(
        table,
        f"{found['events_read']:,} of {found['events']:,} events, "
        f"{found['alerts_read']:,} of {found['alerts']:,} alerts; {worker['cores']:.2f} cores, "
        f"batches of {worker['batch_records']:.1f}, {worker['batch_ms']:.1f} ms each",
    )


def _through(result: Mapping[str, Any]) -> RenderableType:
    found = result["through"]
    title = f"Through all parts at {found['rate']:,}/s: gateway's answer → alert readable, read_committed"
    table = _table(title, "", "p50 ms", "p90 ms", "p99 ms", "longest ms", "n")
    took = found["alerts_ms"]
    if not took:
        return Text(f"{title}: no alert came", style="red")
    cells = [_judged(result, f"through.alerts.{p}", took[p]) for p in ("p50", "p90", "p99")]
    table.add_row("alerts", *cells, _plain(took["max"]), _plain(took["n"]))
    answer = found["answer_ms"]
    table.add_row("answers", *(_plain(answer[p]) for p in ("p50", "p90", "p99", "max")), "")
    return table


def _recovery(result: Mapping[str, Any]) -> RenderableType:
    found = result["recovery"]
    table = _table(
        f"Recovery of {found['calls']:,} calls of {found['state_bytes']:.0f} bytes from the changelog",
        "store",
        "s to at work",
        "s from assignment",
        "s reading",
        "RSS MB",
    )
    for store in ("memory", "rocksdb"):
        one = found[store]
        table.add_row(
            store,
            _judged(result, f"recovery.{store}", one["seconds"], 1),
            _plain(one["from_assignment_s"], 1),
            _plain(one["read_s"], 1),
            _plain(one["rss_mb"]),
        )
        if one["records"] != found["calls"]:
            table.add_row(Text(f"{one['records']:,} records read, not {found['calls']:,}", style="red"))
    return table
