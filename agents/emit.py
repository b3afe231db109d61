"""From effects to records: what is written to which topic, with which key and headers.

The rule of this file: every byte is a function of the effect. Nothing here knows the batch that it is in.
"""

from __future__ import annotations

import msgspec

from stream.core.call.alerts import Alert
from stream.engine.batch import KEYED, Output

_encode = msgspec.json.Encoder().encode

SCHEMA_URL = "https://callstream.io/schemas/alert.json"


def alert_headers(alert: Alert, deployment: str) -> list[tuple[str, bytes]]:
    """An alert's CloudEvents attributes (binary content mode) and the two headers that filters read."""
    attributes = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": alert.id,
        "ce_source": f"/callstream/{deployment}/{alert.account}",
        "ce_type": f"io.callstream.alert.{alert.state}",
        "ce_subject": alert.scope.id,
        "ce_time": alert.updated_at,
        "ce_dataschema": SCHEMA_URL,
        "ce_partitionkey": alert.scope.id,
        "callstream-severity": alert.severity,
        "callstream-rule": alert.rule.id,
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def alert_outputs(alert: Alert, deployment: str) -> tuple[Output, Output]:
    """(for `alerts`, for `alerts.active`): the same value, by scope and by fingerprint.

    A call's lie in the call's own partition, which is the lane's, so that a transaction touches no other; an
    endpoint's, which any lane may write, where their keys say.
    """
    value = _encode(alert)
    headers = alert_headers(alert, deployment)
    partition = None if alert.scope.type == "call" else KEYED
    return (
        Output(alert.scope.id.encode(), value, headers, partition),
        Output(alert.fingerprint.encode(), value, headers, partition),
    )
