"""The figures above the list."""

from __future__ import annotations

import pytest

from stream.cli.local.service_figures import RoleHealth, ServiceFigures
from stream.cli.watch.strip import strip

ROLES = ("gateway", "worker", "poller", "archive", "api", "notify")


def test_what_is_known_has_two_lines() -> None:
    roles = (RoleHealth("gateway", True), RoleHealth("worker", False), RoleHealth("api", None))
    shown = strip(ServiceFigures(1234.4, 0.0823, 0.2149, 7, 4312, roles), 78)
    assert shown.plain.splitlines() == [
        "events 1,234/s  latency p50 0.082 s, p99 0.21 s  backlog 7 records, 4,312 rea…",
        "roles gateway ✓  worker ✗  api –  ",
    ]


def test_what_is_unknown_is_a_dash() -> None:
    assert strip(ServiceFigures(), 78).plain.splitlines() == [
        "events –/s  latency p50 –, p99 –  backlog – records, – reads",
        "roles –",
    ]


@pytest.mark.parametrize("width", [1, 38, 78, 138])
def test_it_is_never_wider_than_its_room(width: int) -> None:
    busy = ServiceFigures(12_345.0, 12.5, 299.0, 1e9, 1e9, tuple(RoleHealth(role, True) for role in ROLES))
    assert max(map(len, strip(busy, width).plain.split("\n"))) <= width


def test_at_80_columns_all_roles_and_usual_figures_are_whole() -> None:
    usual = ServiceFigures(20.0, 0.12, 0.25, 12, 345, tuple(RoleHealth(role, True) for role in ROLES))
    flow, roles = strip(usual, 78).plain.split("\n")
    assert flow.endswith("345 reads")
    assert roles.rstrip().endswith("notify ✓")
