"""Which versions of Faust and aiokafka the fault runs were made with; others are refused at start.

Imports neither of the two, so that an unsupported version is reported in a sentence before any of its changes
can raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

TESTED: Mapping[str, str] = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}

SUPPORTED: Mapping[str, str] = {"faust-streaming": "==0.15.3", "aiokafka": ">=0.14,<0.15"}
"""What `pyproject.toml` allows. A release of the series that was not tested may start where all that
`upstream_internals` pins is unchanged in it."""


class UntestedVersion(Exception):
    """An installed version that was not tested; the message says what to install."""


def check(
    installed: Callable[[str], str] = version, changed: Callable[[], Iterator[str]] | None = None
) -> None:
    """Raises UntestedVersion. `changed`: gives the pinned internals that have changed.

    Takes a millisecond for the tested versions; to compare the internals takes 0.1 s.
    """
    unknown = {}
    for name, tested in TESTED.items():
        try:
            found = installed(name)
        except PackageNotFoundError:
            raise UntestedVersion(f"{name} is not installed: {_install(name)}") from None
        if found == tested:
            continue
        if not _in_series(found, SUPPORTED[name]):
            raise UntestedVersion(f"{name} {found} is not supported: {_install(name)}")
        unknown[name] = found
    if not unknown:
        return
    place = next((changed or _changed)(), None)
    if place is not None:
        name, found = next(iter(unknown.items()))
        raise UntestedVersion(f"{name} {found} is not supported ({place} has changed): {_install(name)}")


def _in_series(found: str, series: str) -> bool:
    """Whether `found` is of the series that a lower bound begins: 0.14.7 of `>=0.14,<0.15`."""
    return series.startswith(">=") and found.startswith(series[2:].partition(",")[0] + ".")


def _install(name: str) -> str:
    return f"callstream was tested with {TESTED[name]}; run pip install '{name}{SUPPORTED[name]}'"


def _changed() -> Iterator[str]:
    from stream.faust_bridge import upstream_internals

    for pinned in upstream_internals.REPLACED + upstream_internals.RELIED_ON:
        if not upstream_internals.is_unchanged(pinned):
            yield pinned.place
