"""How Hypothesis looks for examples: `steady` the same every time, `fuzz` with fresh seeds and ten times as
many.

The rule of this file: what `steady` tries is a function of the tests' source. No database, no seed, no
deadline, and no module that happens to be loaded changes it. What `fuzz` finds becomes an `@example`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, is_hypothesis_test, settings
from hypothesis.internal.conjecture import providers

MORE = 10
"""How many times the examples `fuzz` tries."""

STEADY = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
FUZZ = settings(STEADY, derandomize=False, print_blob=True, max_examples=STEADY.max_examples * MORE)

_USED = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps the settings of a test; it has no public way to change them afterwards."""


def register() -> None:
    """Both profiles, for `--hypothesis-profile`; `steady` is the one without it."""
    settings.register_profile("steady", STEADY)
    settings.register_profile("fuzz", FUZZ)
    settings.load_profile("steady")


def use(profile: str, tests: Iterable[Any]) -> None:
    """Make `profile` hold for `tests` (functions), also where one names a number of examples itself."""
    if profile != "fuzz":
        # It also draws constants of the project's modules that are loaded: other ones in each process.
        providers._get_local_constants = providers.Constants
        return
    for test in {id(test): test for test in tests if is_hypothesis_test(test)}.values():
        own = getattr(test, _USED)
        if own.max_examples < FUZZ.max_examples:
            setattr(test, _USED, settings(own, max_examples=own.max_examples * MORE))
