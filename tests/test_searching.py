"""How examples are found: `make test` tries the same ones in every run, `make fuzz` more and others."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import searching
from tests.searching import FUZZ, MORE, STEADY


def tried(profile: settings) -> list[int]:
    """What a property tries under a profile."""
    seen: list[int] = []

    @settings(profile)
    @given(st.integers())
    def holds(number: int) -> None:
        seen.append(number)

    holds()
    return seen


def test_the_same_examples_are_tried_in_every_run_whatever_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    searching.use("steady", [])
    first = tried(STEADY)
    module = ModuleType("of_the_project")
    module.__file__ = str(tmp_path_factory.mktemp("of_the_project") / "of_the_project.py")
    Path(module.__file__).write_text(f"NUMBERS = {[1_000_003 + 7919 * n for n in range(400)]}\n")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert tried(STEADY) == first
    assert len(first) == STEADY.max_examples


def test_fresh_examples_are_tried_when_searching() -> None:
    few = settings(FUZZ, max_examples=50)
    assert tried(few) != tried(few)


def test_many_more_are_tried_also_where_a_test_names_a_number_itself() -> None:
    @settings(FUZZ, max_examples=8)
    @given(st.booleans())
    def names_a_number(_: bool) -> None: ...

    @settings(FUZZ)
    @given(st.booleans())
    def names_none(_: bool) -> None: ...

    def not_generated() -> None: ...

    searching.use("fuzz", [names_a_number, names_a_number, names_none, not_generated])
    used = [getattr(test, searching._USED).max_examples for test in (names_a_number, names_none)]
    assert used == [8 * MORE, MORE * STEADY.max_examples]
