"""All families by the role that exports them, and what an operator may look for in vain, with the reason.

docs/metrics.md is made from it, and a test holds alert rules and dashboards against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream.service.metrics import api, archive, gateway, notify, poller, worker_families
from stream.service.metrics.family import Family

ROLES: Mapping[str, Sequence[Family]] = {
    "gateway": gateway.FAMILIES,
    "worker": worker_families.FAMILIES,
    "poller": poller.FAMILIES,
    "archive": archive.FAMILIES,
    "api": api.FAMILIES,
    "notify": notify.FAMILIES,
}
"""Of each role, beside `family.SHARED`, which all of them export."""

NOT_EXPORTED: Mapping[str, str] = {
    "alerts_suppressed_total": "No alert is suppressed: what is true of one scope is one episode.",
    'events_deduplicated_total{match="delivery_token"}': "A provider's token of a delivery is not an "
    "identity: no signature covers it.",
    'table_evictions_total{reason="capacity"}': "No call is removed for want of room.",
}
"""Families and label values."""
