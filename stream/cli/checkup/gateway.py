"""The gateway that runs here, and why it refused requests.

Another program may listen at the port, so its answer is untrusted: it is shown as plain text and shortened.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from yarl import URL

from stream.cli.checkup.check import Check, plain
from stream.cli.checkup.http_probe import NoAnswer, ProbeAnswer, probe
from stream.core.timestamps import iso8601
from stream.gateway.diagnose.refused_requests import Finding, findings_file, read_findings
from stream.service.http.client import session
from stream.service.http.listening import address
from stream.service.settings import Settings

LATELY_S = 86_400.0
SHOWN = 5

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}


async def gateway(settings: Settings) -> Check:
    listen = settings.gateway_health_listen
    host, port = address(listen, "CALLSTREAM_GATEWAY_HEALTH_LISTEN")
    url = URL.build(scheme="http", host=_ANYWHERE.get(host, host), port=port, path="/readyz")
    async with session() as client:
        answer = await probe(client, url, with_body=True)
    return ready(answer, listen)


def ready(answer: ProbeAnswer | NoAnswer, listen: str) -> Check:
    """The check of an answer of `/readyz`. Pure."""
    if isinstance(answer, NoAnswer):
        says = f"none answers at {listen}: {answer.why}"
        return Check("gateway", "unknown", says, "`callstream gateway` starts one")
    reasons = _reasons(answer.body)
    if reasons is None or answer.status not in (200, 503):
        says = f"something else answers at {listen} ({answer.status})"
        return Check("gateway", "warning", says, "set CALLSTREAM_GATEWAY_HEALTH_LISTEN to a free address")
    told = plain("; ".join(reasons))
    if answer.status == 503:
        return Check("gateway", "failed", f"{listen} is not ready: {told or 'it does not say why'}")
    return Check("gateway", "ok", f"{listen} is ready" + (f": {told}" if told else ""))


def _reasons(body: bytes) -> list[str] | None:
    """The reasons in a role's `/readyz`; None if the body is not one."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    reasons = said.get("reasons") if isinstance(said, dict) and "status" in said else None
    return [one for one in reasons if isinstance(one, str)] if isinstance(reasons, list) else None


def lately(settings: Settings, now_s: float) -> list[Finding] | None:
    """The findings of the last day, newest first; None if their file cannot be read."""
    try:
        found = read_findings(findings_file(settings.data_dir), to_show=True)
    except OSError:
        return None
    return [one for one in reversed(found) if _age_s(one, now_s) <= LATELY_S]


def refused(found: Sequence[Finding] | None, now_s: float) -> list[Check]:
    """The newest findings, one check each. Pure."""
    name = "refused requests"
    if found is None:
        return [Check(name, "unknown", "the file that keeps them cannot be read")]
    if not found:
        return [Check(name, "ok", "none was examined in the last day")]
    checks = [
        Check(
            "refused request",
            "warning",
            f"{plain(one.path)}, {plain(one.reason)}, {_ago(_age_s(one, now_s))}: "
            f"{plain(one.sentence).removesuffix('.')}",
        )
        for one in found[:SHOWN]
    ]
    if len(found) > SHOWN:
        checks.append(Check(name, "warning", f"and {len(found) - SHOWN} more in the last day"))
    return checks


def _age_s(one: Finding, now_s: float) -> float:
    at_us = iso8601(one.time)
    return float("inf") if at_us is None else max(now_s - at_us / 1_000_000, 0.0)


def _ago(age_s: float) -> str:
    if age_s < 120:
        return f"{age_s:.0f} s ago"
    return f"{age_s / 60:.0f} min ago" if age_s < 7200 else f"{age_s / 3600:.0f} h ago"
