"""What is said of the rights that roles need and a login lacks."""

from __future__ import annotations

import pytest

from stream.cli.checkup.check import Check
from stream.cli.checkup.rights import judged
from stream.kafka.access import GROUP, GROUPS, READS, ROLES, TOPIC, TRANSACTIONS, WRITES, Access, needed

WRITE = Access(TOPIC, "calls.callbacks.v1", frozenset({"WRITE", "DESCRIBE"}))
GROUP_READ = Access(GROUP, "calls-worker", frozenset({"READ"}))
MEND = "grant it, as docs/kafka.md has it"


@pytest.mark.parametrize(
    ("lacking", "check"),
    [
        (
            {"gateway": [], "worker": []},
            Check("rights", "ok", "this login may do what every role needs"),
        ),
        (
            {"gateway": [], "worker": [GROUP_READ]},
            Check("rights", "ok", "this login is for gateway (worker needs READ on group calls-worker)"),
        ),
        (
            {"gateway": [WRITE], "worker": [GROUP_READ] * 5},
            Check(
                "rights",
                "failed",
                "gateway needs DESCRIBE and WRITE on topic calls.callbacks.v1; "
                "worker needs " + ", ".join(["READ on group calls-worker"] * 3) + " and 2 more",
                MEND,
            ),
        ),
    ],
)
def test_a_login_is_for_the_roles_whose_rights_it_has(lacking: dict[str, list[Access]], check: Check) -> None:
    assert judged(lacking) == check


def test_a_role_may_write_no_topic_that_it_does_not_write() -> None:
    assert set(READS) == set(WRITES) == set(ROLES)
    gateway = {one.name: one.operations for one in needed("gateway", "calls.")}
    look = {"DESCRIBE", "DESCRIBE_CONFIGS"}
    assert {name for name, operations in gateway.items() if operations != look} == {
        "calls.callbacks.v1",
        "calls.dead-letters.v1",
    }
    assert gateway["calls.callbacks.v1"] == look | {"WRITE"}


def test_only_the_worker_has_transactions() -> None:
    kinds = {role: {one.kind for one in needed(role, "calls.")} for role in ROLES}
    assert kinds == {
        "gateway": {TOPIC},
        "worker": {TOPIC, GROUP, TRANSACTIONS},
        "poller": {TOPIC, GROUP},
        "notify": {TOPIC, GROUPS},
        "archive": {TOPIC, GROUP},
        "api": {TOPIC},
    }
