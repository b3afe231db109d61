"""Which versions of Faust and aiokafka the fault runs were made with; others are refused at start.

The rule of this file: it imports neither of the two, so that a version that does not fit is told in a
sentence before any of its changes can raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

PROVEN: Mapping[str, str] = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}

SERIES: Mapping[str, str] = {"faust-streaming": "==0.15.3", "aiokafka": ">=0.14,<0.15"}
"""What `pyproject.toml` allows. A release of the series that is not the proven one may start where all that
`lanes/ground.py` names is the same in it."""


class UnprovenVersion(Exception):
    """An installed version whose inside this program does not know; the message says what to install."""


def check(
    installed: Callable[[str], str] = version, moved: Callable[[], Iterator[str]] | None = None
) -> None:
    """Raises UnprovenVersion. `moved`: gives the places of `lanes/ground.py` that are not as they were.

    A millisecond for the proven versions; to compare the places takes 0.1 s.
    """
    unknown = {}
    for name, proven in PROVEN.items():
        try:
            found = installed(name)
        except PackageNotFoundError:
            raise UnprovenVersion(f"{name} is not installed: {_install(name)}") from None
        if found == proven:
            continue
        if not _in_series(found, SERIES[name]):
            raise UnprovenVersion(f"{name} {found} is not supported: {_install(name)}")
        unknown[name] = found
    if not unknown:
        return
    place = next((moved or _moved)(), None)
    if place is not None:
        name, found = next(iter(unknown.items()))
        raise UnprovenVersion(f"{name} {found} is not supported ({place} has changed): {_install(name)}")


def _in_series(found: str, series: str) -> bool:
    """Whether `found` is of the series that a lower bound begins: 0.14.7 of `>=0.14,<0.15`."""
    return series.startswith(">=") and found.startswith(series[2:].partition(",")[0] + ".")


def _install(name: str) -> str:
    return f"callstream was tested with {PROVEN[name]}; run pip install '{name}{SERIES[name]}'"


def _moved() -> Iterator[str]:
    from stream.faust_bridge import upstream_internals

    for leaning in upstream_internals.REPLACED + upstream_internals.RELIED_ON:
        if not upstream_internals.holds(leaning):
            yield leaning.place
