"""The systemd units: what they set exists, and a role that is started so reports that it is ready."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from stream.cli.support.exit_codes import EXIT_CODES, MISUSE, TERMINATED, TOPIC_MISMATCH
from stream.service.settings import Settings, variable
from tests.tree import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))


def values(unit: Path, key: str) -> list[str]:
    """The values of a unit's key, in order."""
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def environment(unit: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in values(unit, "Environment"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_sets_only_settings_that_exist(unit: Path) -> None:
    names = {variable(about) for about in fields(Settings)}
    assert set(environment(unit)) <= names
    example = (FOLDER / "callstream.env.example").read_text()
    set_there = dict(re.findall(r"^#?(CALLSTREAM_\w+)=(.*)$", example, re.MULTILINE))
    assert set(set_there) <= names
    secrets = {variable(about) for about in fields(Settings) if about.metadata["secret"]}
    assert not set(set_there) & secrets


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_role_that_only_an_operator_can_mend_is_not_started_again(unit: Path) -> None:
    different_versions = next(code for code, meaning in EXIT_CODES.items() if "same version" in meaning)
    (codes,) = values(unit, "RestartPreventExitStatus")
    assert {int(code) for code in codes.split()} == {MISUSE, TOPIC_MISMATCH, different_versions}
    assert values(unit, "SuccessExitStatus") == [str(TERMINATED)]


def test_all_units_are_hardened_alike() -> None:
    assert len({unit.read_text().partition("\n# No user")[2] for unit in UNITS}) == 1
