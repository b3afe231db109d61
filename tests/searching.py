"""Hypothesis profiles: `steady` always tries the same examples, `fuzz` 25 times as many with fresh seeds.

What `steady` tries depends only on the tests' source: not on a database, a seed, a deadline or the modules
that happen to be loaded. What `fuzz` finds becomes an `@example`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, is_hypothesis_test, settings
from hypothesis.internal.conjecture import providers

MORE = 25
"""How many times the examples `fuzz` tries."""

STEADY = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
FUZZ = settings(STEADY, derandomize=False, print_blob=True, max_examples=STEADY.max_examples * MORE)

_USED = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps a test's settings; it has no public way to change them afterwards."""


def register() -> None:
    """Both profiles, for `--hypothesis-profile`; `steady` is the default."""
    settings.register_profile("steady", STEADY)
    settings.register_profile("fuzz", FUZZ)
    settings.load_profile("steady")


def examples(steady: int) -> int:
    """How many a test tries that calls Hypothesis itself: `use` does not find its settings."""
    fuzzes = settings.get_current_profile_name() == "fuzz"
    return steady * MORE if fuzzes else steady


def use(profile: str, tests: Iterable[Any]) -> None:
    """Apply `profile` to `tests` (functions), even to one that sets its own number of examples."""
    if profile != "fuzz":
        # Hypothesis also draws constants from loaded modules, which differ between processes.
        providers._get_local_constants = providers.Constants
        return
    for test in {id(test): test for test in tests if is_hypothesis_test(test)}.values():
        own = getattr(test, _USED)
        if own.max_examples < FUZZ.max_examples:
            setattr(test, _USED, settings(own, max_examples=own.max_examples * MORE))
