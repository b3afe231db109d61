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
        "offline": _offline,
        "throughput": _throughput,
        "stages": _stages,
        "gateway": _gateway,
        "latency": _latency,
        "through": _through,
        "recovery": _recovery,
        "archive": _archive,
        "ordinary": _ordinary,
    }
    found: list[RenderableType] = []
    for name, part in parts.items():
        if "failed" in result.get(name, {}):
            found.append(Text(f"{name}: {result[name]['failed']}", style="red"))
        elif name in result:
            found.append(part(result))
    console.print(Group(*found))
    console.print(_python(result["machine"]["python"]))
    load = result["machine"]["load_before"]
    if load > BUSY:
        console.print(f"The machine was busy (load {load:.1f} before the start): these numbers are too low.")


def missed(result: Mapping[str, Any]) -> list[str]:
    """The targets that were measured and not met, in words."""
    return [
        f"{target.says}: {target.text(value)}, wanted {target.wanted()}"
        + (" (accepted)" if target.accepted(value) else "")
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
    """A number and its target: green where it is met, yellow where it is accepted, else red."""
    target = _target(name)
    value = target.value(result) if target is not None else otherwise
    if value is None:
        return Text("–")
    text = f"{value:,.{digits}f}"
    if target is None:
        return Text(text)
    style = "green" if target.met(value) else "yellow" if target.accepted(value) else "red"
    return Text(f"{text}  ({target.wanted()})", style=style)


def _target(name: str) -> Target | None:
    return next((target for target in TARGETS if target.name == name), None)


def _python(build: Mapping[str, Any]) -> str:
    """What was measured with."""
    says = [name.upper() for name in ("pgo", "lto") if build[name]]
    return (
        f"Python {build['version']}, {' and '.join(says) or 'no PGO or LTO that it says of itself'}; "
        f"a loop that takes 1,400 µs in Debian's 3.11 took {build['loop_us']:,.0f} µs."
    )


def _offline(result: Mapping[str, Any]) -> RenderableType:
    columns = (
        "job",
        "rounds",
        "CPU µs",
        "bytes out, not compressed",
        "records out",
        "of Quix Streams' callback",
    )
    table = _table("The worker's job without Kafka, all sources polled", *columns)
    says = {
        "callback": "a status callback",
        "mixed": "a delivery of any source",
        "life": "a call's whole life",
    }
    for job, found in result["offline"].items():
        table.add_row(
            says[job],
            f"{found['rounds']} × {found['count']:,}",
            _plain(found["us"], 1),
            _plain(found["bytes_all"]),
            _plain(sum(found["records"].values()), 1),
            _judged(result, job + ".to_quix", None, 1),
        )
    return table


def _ordinary(result: Mapping[str, Any]) -> RenderableType:
    roles = ("worker", "broker", "poller", "gateway")
    columns = ("webhooks a second", *roles, "batches/s", "deliveries/s")
    table = _table("callstream up at ordinary load: share of a core", *columns)
    for rate, found in result["ordinary"].items():
        cores = [_judged(result, f"ordinary.{rate}.{role}", found["cores"].get(role), 3) for role in roles]
        counts = [_plain(found[name], 1) for name in ("batches", "deliveries")]
        table.add_row(rate, *cores, *counts)
    return table


def _throughput(result: Mapping[str, Any]) -> RenderableType:
    columns = (
        "candidate",
        "callbacks",
        "a second",
        "CPU µs each",
        "times Quix Streams",
        "bytes out",
        "RSS MB",
    )
    table = _table("Throughput: medians", *columns)
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
            _judged(result, candidate.name + ".to_quix", found["to_quix"], 2),
            _judged(result, candidate.name + ".bytes_out", median["bytes_out"]),
            _plain(median["rss_mb"]),
        )
        if "batch_records" in median:
            details.append(
                f"{found['says']}: batches of {median['batch_records']:.0f}, "
                f"{median['batch_process_ms']:.1f} ms to fold, {median['batch_commit_ms']:.1f} ms to commit"
            )
    table.add_row("RocksDB : memory", "", "", _judged(result, "rocksdb", None, 2))
    return Group(
        table,
        "The worker does the full job, exactly once. Quix Streams, plain Faust and the bare",
        "loop do a small one: drop repetitions, a table with its changelog, an alert for a",
        "failed call; at least once, or less.",
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
    title = "Latency: produced → readable, read_committed"
    table = _table(title, "callbacks a second", "output", "p50 ms", "p90 ms", "p99 ms", "longest ms", "n")
    details = []
    for rate, one in found["rates"].items():
        for name in ("alerts", "events"):
            took = one[name + "_ms"]
            if not took:
                table.add_row(rate, name, Text("none came", style="red"))
                continue
            cells = [_judged(result, f"latency.{rate}.{name}.{p}", took[p]) for p in ("p50", "p90", "p99")]
            table.add_row(rate, name, *cells, _plain(took["max"]), _plain(took["n"]))
        if (one["events_read"], one["alerts_read"]) != (one["events"], one["alerts"]):
            details.append(
                f"At {rate}/s {one['events_read']:,} of {one['events']:,} events and "
                f"{one['alerts_read']:,} of {one['alerts']:,} alerts were read."
            )
    worker = found["worker"]
    return Group(
        table,
        *details,
        f"Over all {worker['cores']:.2f} cores, batches of {worker['batch_records']:.1f}, "
        f"{worker['batch_ms']:.1f} ms each",
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


def _archive(result: Mapping[str, Any]) -> RenderableType:
    table = _table(
        "Archive: events of calls, their records and alerts",
        "database",
        "events",
        "events/s",
        "CPU µs each",
        "a call, p99 ms",
        "slowest list, p99 ms",
        "overview, p99 ms",
    )
    for name, found in result["archive"].items():
        table.add_row(
            name,
            f"{found['events']:,}",
            _judged(result, f"archive.{name}.per_s", None),
            _plain(found["cpu_us"], 1),
            _judged(result, f"archive.{name}.call", None, 1),
            _plain(found["slowest_list_ms"], 1),
            _judged(result, f"archive.{name}.overview", None, 1),
        )
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
