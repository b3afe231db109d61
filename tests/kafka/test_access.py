"""The documented rights are those that the program checks."""

from __future__ import annotations

import re
from pathlib import Path

from stream.kafka.access import GROUP, GROUPS, ROLES, TOPIC, TRANSACTIONS, WRITES, needed
from stream.service.metrics import api, archive, gateway, notify, poller, worker_families

PAGE = Path(__file__).parent.parent.parent / "docs" / "kafka.md"
KINDS = {
    "topic": TOPIC,
    "group": GROUP,
    "groups that begin with": GROUPS,
    "transactional ids that begin with": TRANSACTIONS,
}
OF_ALL_TOPICS = {"DESCRIBE", "DESCRIBE_CONFIGS"}


def documented() -> set[tuple[str, str, str, frozenset[str]]]:
    rows = re.findall(r"^\| (\w+) \| ([a-z ]+) `(\S+)` \| ([A-Z, ]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {(role, KINDS[kind], name, frozenset(said.split(", "))) for role, kind, name, said in rows}


def test_metrics_have_the_topics_that_a_role_may_write() -> None:
    counted = {
        "gateway": gateway.WRITTEN,
        "worker": (*worker_families.WRITTEN, "ticks"),
        "poller": poller.WRITTEN,
        "notify": notify.WRITTEN,
        "archive": archive.WRITTEN,
        "api": api.WRITTEN,
    }
    assert {role: sorted(topics) for role, topics in counted.items()} == {
        role: sorted(topics) for role, topics in WRITES.items()
    }


def test_the_table_of_rights_has_all_of_them_and_no_other() -> None:
    assert documented() == {
        (role, one.kind, one.name, operations)
        for role in ROLES
        for one in needed(role, "calls.")
        if (operations := one.operations - OF_ALL_TOPICS if one.kind == TOPIC else one.operations)
    }
