"""The calls that an alert shows as samples of its condition, and the alert without those forgotten. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from stream.core.timestamps import iso8601


class _Sample(msgspec.Struct):
    key: str


class _Samples(msgspec.Struct):
    samples: list[_Sample] = []


_decode_samples = msgspec.json.Decoder(_Samples).decode


def shown_in(body: str) -> set[str]:
    """The keys of the calls that an alert shows as samples."""
    return {one.key for one in _decode_samples(body).samples}


def without_forgotten(body: str, marks: Mapping[str, int]) -> str | None:
    """An alert without what is as old as the marks of its calls; None if it shows nothing of the kind.

    A link that opens such a call goes, too.
    """
    alert: dict[str, Any] = msgspec.json.decode(body)
    shown = alert.get("samples", [])
    kept = [one for one in shown if (iso8601(one["at"]) or 0) > marks.get(one["key"], -1)]
    if len(kept) == len(shown):
        return None
    ids = {one["key"].partition(":")[2] for one in shown} - {one["key"].partition(":")[2] for one in kept}
    alert["samples"] = kept
    alert["links"] = {
        name: link
        for name, link in alert.get("links", {}).items()
        if not any(id_ in link or quote(id_, safe="") in link for id_ in ids)
    }
    return msgspec.json.encode(alert).decode()
