"""Recorded traces: what providers sent about a few calls, and which records, verdicts and alerts come of it.

The expected outputs were reviewed by reading. `python -m tests.replay.record` writes them anew.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.replay.replaying import TRACES, expected_path, read_trace, replay

OF_ARRIVAL = ("revision", "id", "arrival", "updated_at", "gaps")


def firing(outcome: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(rule, scope, reason) of the alerts that are still firing at the end."""
    last = {(one["rule"], one["scope"], one["starts_at"]): one for one in outcome["alerts"]}
    return {
        (rule, scope, one["reason"]) for (rule, scope, _), one in last.items() if one["state"] == "firing"
    }


def settled(outcome: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The last records without what depends on the order of arrival, as a number that came late does."""
    return {
        key: {name: value for name, value in record.items() if name not in OF_ARRIVAL}
        | {"gaps": [gap for gap in record.get("gaps", ()) if gap["closed_by"] != "late_arrival"]}
        for key, record in outcome["records"].items()
    }


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_comes_to_what_was_reviewed(name: str) -> None:
    assert replay(read_trace(name)) == orjson.loads(expected_path(name).read_bytes())


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_in_another_order_ends_the_same(name: str) -> None:
    """All deliveries twice and backwards, at the times of the trace."""
    trace = read_trace(name)
    deliveries = [one for one in trace["deliveries"] for _ in range(2)]
    times = sorted(one["at"] for one in deliveries)
    turned = [{**one, "at": at} for one, at in zip(reversed(deliveries), times, strict=True)]
    once, again = replay(trace), replay({**trace, "deliveries": turned})
    assert settled(again) == settled(once)
    assert firing(again) == firing(once)
