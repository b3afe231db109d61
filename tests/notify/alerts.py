"""Alerts as the worker writes them, in the fields that a test names."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from stream.core.identity import name_id
from stream.notify.alert import ReceivedAlert, read_alert
from stream.notify.grouping import Grouping, TakenAlert

AT = "2026-11-20T22:10:00.000000Z"
ENDPOINT = "https://app.example.com/voice"


def record(
    scope: str = "twilio:CA1", *, rule: str = "call.failed", severity: str = "info", **fields: Any
) -> dict[str, Any]:
    """An alert record. `scope`: a call's key, or an endpoint's with `endpoint` in it."""
    kind = "endpoint" if ":endpoint:" in scope else "call"
    fingerprint = name_id("alert", rule, scope, fields.get("account"))
    episode = name_id("episode", fingerprint, fields.pop("opened", 1))
    revision = fields.get("revision", 1)
    usual = {
        "schema_version": 1,
        "id": name_id("revision", episode, revision),
        "fingerprint": fingerprint,
        "episode_id": episode,
        "revision": revision,
        "state": "firing",
        "severity": severity,
        "rule": {"id": rule, "version": 1},
        "provider": "twilio",
        "account": "AC1",
        "account_alias": "main",
        "scope": {"type": kind, "id": scope},
        "starts_at": AT,
        "ends_at": None,
        "updated_at": AT,
        "reason": {"code": "failed", "text": f"{scope} failed.", "help": None},
        "webhook": {"endpoint": ENDPOINT} if kind == "endpoint" else None,
        "occurrences": 1,
        "links": {},
        "a_field_of_a_newer_worker": {"x": 1},
    }
    return usual | fields


def alert(scope: str = "twilio:CA1", **fields: Any) -> ReceivedAlert:
    return read_alert(orjson.dumps(record(scope, **fields)))


def condition(**fields: Any) -> ReceivedAlert:
    """A failing endpoint."""
    return alert(
        f"twilio:endpoint:AC1:{ENDPOINT}",
        **{"rule": "webhook.failing", "severity": "critical", **fields},
    )


def resolved(one: ReceivedAlert, code: str = "recovered") -> ReceivedAlert:
    """Its next revision."""
    reason = msgspec.structs.replace(one.reason, code=code)
    revision = one.revision + 1
    new_id = name_id("revision", one.episode_id, revision)
    return msgspec.structs.replace(
        one, id=new_id, state="resolved", revision=revision, ends_at=AT, reason=reason
    )


def add(grouping: Grouping, one: ReceivedAlert, now_s: float, done: list[str] | None = None) -> str:
    """Add an alert; its id goes to `done` when it is done."""
    kept = [] if done is None else done
    return grouping.add(TakenAlert(one, None, lambda: kept.append(one.id)), now_s)
