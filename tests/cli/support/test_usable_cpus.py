"""How many CPUs there are for a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.cli.support.usable_cpus import usable_cpus


@pytest.mark.parametrize(
    ("own", "group", "limit", "count"),
    [
        ("0::/\n", ".", "max 100000\n", 8),
        ("0::/\n", ".", "350000 100000\n", 3),
        ("0::/\n", ".", "50000 100000\n", 1),
        ("0::/\n", ".", "1600000 100000\n", 8),
        (
            "1:cpu:/\n0::/system.slice/callstream.service\n",
            "system.slice/callstream.service",
            "200000 100000",
            2,
        ),
        ("1:cpu:/docker/1\n", ".", "", 8),
    ],
    ids=["no limit", "a container", "half a CPU", "more than there are", "a unit", "cgroup v1"],
)
def test_a_limit_of_the_control_group_counts(
    own: str, group: str, limit: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "own").write_text(own)
    (tmp_path / group).mkdir(parents=True, exist_ok=True)
    if limit:
        (tmp_path / group / "cpu.max").write_text(limit)
    assert usable_cpus(tmp_path, tmp_path / "own") == count


def test_without_control_groups_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3}, raising=False)
    assert usable_cpus(tmp_path, tmp_path / "own") == 2
