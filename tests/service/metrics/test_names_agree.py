"""Catalogue, code, documentation, alert rules and dashboards name the same families, labels and values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stream.service.metrics.api import ApiMetrics
from stream.service.metrics.archive import ArchiveMetrics
from stream.service.metrics.catalogue import NOT_EXPORTED, ROLES
from stream.service.metrics.family import PREFIX, SHARED, Family
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.label_values import TOPICS, WRITTEN
from stream.service.metrics.notify import NotifyMetrics
from stream.service.metrics.poller import PollerMetrics
from stream.service.metrics.registry import MetricRegistry
from stream.service.metrics.worker import WorkerMetrics
from tests.service.metrics.exposed import own_families

ROOT = Path(__file__).parents[3]
RULES = sorted((ROOT / "deploy" / "prometheus").rglob("*.yml"))
GRAFANA = sorted(
    path for ending in ("*.json", "*.yaml", "*.yml") for path in (ROOT / "deploy" / "grafana").rglob(ending)
)

OF_THE_TARGET = {"job", "instance", "role", "namespace", "cluster"}
"""Labels that a scrape adds."""
OF_ALERTS = {"alertname", "alertstate", "severity"}
OF_A_PROCESS = {"process"}
"""What families with `several="each"` get where a worker has several processes."""
LABELS = OF_THE_TARGET | OF_ALERTS | OF_A_PROCESS | {"le"}

EXPORTED: dict[str, Family] = {
    PREFIX + family.name + suffix: family
    for families in (*ROLES.values(), SHARED)
    for family in families
    for suffix in (("_bucket", "_count", "_sum") if family.kind == "histogram" else ("",))
}

_SELECTOR = re.compile(r'\b(callstream[_:][\w:]+)(?:\{((?:"(?:[^"\\]|\\.)*"|[^{}"])*)\})?')
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_RECORDED = re.compile(r"^\s*-? *record: *['\"]?([\w:]+)", re.MULTILINE)


def words(family: Family, label: str) -> tuple[str, ...] | None:
    """The values that a label may take; None where they are known only while a role runs."""
    values = family.labels[label]
    if values == WRITTEN:
        return TOPICS
    return None if values[0].startswith("<") else values


def faults(text: str, recorded: set[str]) -> Iterator[str]:
    """What is wrong with the PromQL in a text."""
    for name, matchers in _SELECTOR.findall(text):
        if ":" in name:
            if name not in recorded:
                yield f"{name} is not recorded"
            continue
        family = EXPORTED.get(name)
        if family is None:
            yield f"{name} is not exported"
            continue
        for label, how, value in _MATCHER.findall(matchers):
            yield from _faults_of_a_matcher(name, family, label, how, value)
    known = LABELS.union(*(family.labels for family in EXPORTED.values()))
    for labels in _GROUPING.findall(text) if _SELECTOR.search(text) else ():
        for label in filter(None, re.split(r"[\s,]+", labels)):
            if label not in known and "$" not in label:
                yield f"no family has the label {label}"


def _faults_of_a_matcher(name: str, family: Family, label: str, how: str, value: str) -> Iterator[str]:
    if label in OF_THE_TARGET or (label == "le" and name.endswith("_bucket")):
        return
    if label not in family.labels:
        yield f"{name} has no label {label}"
        return
    listed = words(family, label)
    if listed is None or "$" in value:
        return
    patterns = value.split("|") if "~" in how and "(" not in value else [value]
    for pattern in patterns:
        found = any(re.fullmatch(pattern, word) for word in listed) if "~" in how else pattern in listed
        if not found:
            yield f'{name} never has {label}="{pattern}"'


def texts(path: Path) -> Iterator[str]:
    """What may be PromQL in a file."""
    if path.suffix != ".json":
        yield path.read_text().replace('\\"', '"')
        return

    def strings(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from strings(inner)

    yield from strings(json.loads(path.read_text()))


@pytest.mark.parametrize("path", [*RULES, *GRAFANA], ids=lambda path: str(path.relative_to(ROOT)))
def test_rules_and_dashboards_ask_only_for_what_a_role_exports_or_a_rule_records(path: Path) -> None:
    recorded = {name for rules in RULES for name in _RECORDED.findall(rules.read_text())}
    assert sorted({fault for text in texts(path) for fault in faults(text, recorded)}) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ('sum(rate(callstream_dead_letters_total{source=~"twilio_.*"}[5m]))', None),
        ('callstream_worker_state{job="callstream", state!="running"}', None),
        ('sum by (le, route) (rate(callstream_http_request_duration_seconds_bucket{le="0.1"}[5m]))', None),
        ('callstream_calls_active{account=~"$account", provider="${provider:regex}"}', None),
        ('callstream_produce_messages_total{topic="events"}', None),
        ("callstream:known:ratio > 0", None),
        ("callstream:unknown:ratio > 0", "callstream:unknown:ratio is not recorded"),
        ("rate(callstream_dead_letter_total[5m])", "callstream_dead_letter_total is not exported"),
        ("callstream_call_duration_seconds", "callstream_call_duration_seconds is not exported"),
        ("callstream_alerts_silent", "callstream_alerts_silent is not exported"),
        ('callstream_calls_overdue{account="x"}', "callstream_calls_overdue has no label account"),
        ('callstream_calls_overdue{le="1"}', "callstream_calls_overdue has no label le"),
        (
            'callstream_app_webhook_responses_total{code_class=~"4xx|5xx|time_out"}',
            'callstream_app_webhook_responses_total never has code_class="time_out"',
        ),
        (
            'callstream_table_evictions_total{reason="capacity"}',
            'callstream_table_evictions_total never has reason="capacity"',
        ),
        ("sum by (provder) (callstream_calls_overdue)", "no family has the label provder"),
    ],
)  # fmt: skip
def test_a_wrong_name_label_or_value_is_found(expression: str, fault: str | None) -> None:
    assert [*faults(expression, {"callstream:known:ratio"})] == ([] if fault is None else [fault])


REGISTRIES: Mapping[str, MetricRegistry] = {
    "gateway": GatewayMetrics(),
    "worker": WorkerMetrics(),
    "poller": PollerMetrics([]),
    "notify": NotifyMetrics([]),
    "archive": ArchiveMetrics(),
    "api": ApiMetrics(),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_exports_its_families_and_those_of_all_roles(role: str) -> None:
    declared = {PREFIX + family.name for family in (*ROLES[role], *SHARED)}
    assert set(own_families(REGISTRIES[role].exposition()[0])) == declared


def test_no_family_is_declared_twice() -> None:
    declared = {family for families in (*ROLES.values(), SHARED) for family in families}
    assert sorted(family.name for family in declared) == sorted({family.name for family in declared})


def test_the_page_has_a_line_for_each_family_and_for_what_is_left_out() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    lines = re.findall(r"^\| `(\S+)` \|", page, re.MULTILINE)
    families = [family.name for families in (SHARED, *ROLES.values()) for family in families]
    assert lines == [*families, *NOT_EXPORTED]


def test_what_is_said_to_be_left_out_is_not_exported() -> None:
    for left_out in NOT_EXPORTED:
        assert [*faults(PREFIX + left_out, set())] != [], left_out
