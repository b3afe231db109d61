"""The metrics of a worker's processes as one exposition, as if one process had counted.

The declaration of a family says how (`Family.several`). Series without a declaration, those of Python and of
the process itself, are shown of each process, with the label `process`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from stream.service.metrics.family import PREFIX, SHARED
from stream.service.metrics.label_values import WORKER_STATES
from stream.service.metrics.worker_families import FAMILIES, WORKER_STATE

SEVERAL = {PREFIX + family.name: family.several for family in (*FAMILIES, *SHARED)}
COMBINED: Mapping[str, Callable[[float, float], float]] = {"sum": float.__add__, "max": max, "min": min}


@dataclass
class ExposedFamily:
    """A family in an exposition: its `# HELP` and `# TYPE`, and its values by name and labels as written."""

    head: list[str]
    cumulative: bool = False
    series: dict[str, float] = field(default_factory=dict)


def exposed(exposition: str) -> dict[str, ExposedFamily]:
    """The families of a role's exposition in Prometheus' text format, which has no timestamps."""
    found: dict[str, ExposedFamily] = {}
    for line in exposition.split("\n"):
        if line.startswith("# HELP "):
            family = found[line.split(" ", 3)[2]] = ExposedFamily([line])
        elif line.startswith("# TYPE "):
            family.head.append(line)
            family.cumulative = line.endswith((" counter", " histogram"))
        elif line:
            series, _, value = line.rpartition(" ")
            family.series[series] = float(value)
    return found


_STATE = PREFIX + WORKER_STATE.name
_NO_STATE = ExposedFamily(
    [f"# HELP {_STATE} {WORKER_STATE.text}", f"# TYPE {_STATE} {WORKER_STATE.kind}"],
    series={f'{_STATE}{{state="{state}"}}': 0.0 for state in WORKER_STATES},
)


class ProcessMetrics:
    """What one process has shown, over its restarts."""

    def __init__(self) -> None:
        self._run = 0
        self._newest: dict[str, ExposedFamily] = {}
        self._ended: dict[str, dict[str, float]] = {}
        """Sums of the counters and histograms of earlier runs, by family."""

    def answered(self, run: int, exposition: str) -> None:
        """It was scraped. `run`: another number than before where it has restarted in between."""
        if run != self._run:
            self._run = run
            for name, family in self._newest.items():
                if family.cumulative:
                    _add(self._ended.setdefault(name, {}), family.series)
        self._newest = exposed(exposition)

    def silent(self) -> None:
        """It does not answer, or has not yet: it is in no state, and only what it has counted is shown."""
        kept = {name: family for name, family in self._newest.items() if family.cumulative}
        self._newest = {_STATE: _NO_STATE, **kept}

    def merge_into(self, merged: dict[str, ExposedFamily], process: str) -> None:
        """Add its families. A series of each process is one of the present run."""
        for name, family in self._newest.items():
            into = merged.setdefault(name, ExposedFamily(family.head))
            several = SEVERAL.get(name, "each")
            if several == "each":
                into.series |= {_labelled(series, process): value for series, value in family.series.items()}
                continue
            _add(into.series, family.series, COMBINED[several])
            _add(into.series, self._ended.get(name, {}))


def merged_exposition(processes: Mapping[str, ProcessMetrics]) -> tuple[bytes, str]:
    """The exposition of all, in Prometheus' text format, and its content type."""
    merged: dict[str, ExposedFamily] = {}
    for name, process in processes.items():
        process.merge_into(merged, name)
    lines = [
        line
        for family in merged.values()
        for line in (
            *family.head,
            *(f"{series} {floatToGoString(value)}" for series, value in family.series.items()),  # type: ignore[no-untyped-call]
        )
    ]
    return ("\n".join(lines) + "\n").encode(), choose_encoder("")[1]


def _add(
    into: dict[str, float],
    series: Mapping[str, float],
    combined: Callable[[float, float], float] = float.__add__,
) -> None:
    for name, value in series.items():
        into[name] = combined(into[name], value) if name in into else value


def _labelled(series: str, process: str) -> str:
    """`name{a="b"}` with one label more."""
    name, brace, labels = series.partition("{")
    return f'{name}{{process="{process}"' + (f",{labels}" if brace else "}")
