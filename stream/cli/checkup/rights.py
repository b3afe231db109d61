"""What the roles need on the cluster and this login may not do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from stream.cli.checkup.check import Check
from stream.kafka.access import ROLES, Access, missing, named
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError

LIMIT_S = 10.0


async def rights(cluster: Connection, prefix: str) -> Check:
    """One check of all roles, each of which may have its own login."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return judged({role: await missing(cluster, role, prefix) for role in ROLES})
    except (KafkaError, OSError) as error:
        return Check("rights", "unknown", f"the cluster does not tell them ({type(error).__name__})")


def judged(lacking: Mapping[str, Sequence[Access]]) -> Check:
    """The check of what each role lacks. Pure.

    It fails only where no role could work with this login.
    """
    good = [role for role, missing in lacking.items() if not missing]
    if len(good) == len(lacking):
        return Check("rights", "ok", "this login may do what every role needs")
    says = "; ".join(f"{role} needs {named(missing)}" for role, missing in lacking.items() if missing)
    mend = "grant it, as docs/kafka.md has it"
    if good:
        return Check("rights", "ok", f"this login is for {' and '.join(good)} ({says})")
    return Check("rights", "failed", says, mend)
