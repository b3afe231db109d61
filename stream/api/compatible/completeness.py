"""What `X-Callstream-Completeness` says: whether everything is there that a provider would answer. Pure.

`complete`, or `partial` with the reasons as parameters (an item of RFC 9651).
"""

from __future__ import annotations

from stream.archive.questions import StoredCall

COMPLETE = "complete"


def of_call(call: StoredCall, *, cut: bool = False) -> str:
    """Of the rows of one call, which is with its record. `cut`: it has more events than were read."""
    if call.record is None:
        return "partial;ended=?0"
    said = call.record["completeness"]
    missing = sorted(set(said["expected"]) - set(said["seen"]))
    reasons = [f'missing="{" ".join(missing)}"'] if missing else []
    if not call.complete and not missing:
        reasons.append("gaps")
    if reasons and call.settled:
        reasons.append("settled")
    if cut:
        reasons.append("cut")
    return ";".join(["partial", *reasons]) if reasons else COMPLETE


def of_list(incomplete: int, *, cut: bool = False) -> str:
    """Of a list with `incomplete` calls that are not complete. `cut`: not all of its calls were looked at."""
    reasons = [f"calls={incomplete}"] if incomplete else []
    if cut:
        reasons.append("cut")
    return ";".join(["partial", *reasons]) if reasons else COMPLETE
