"""What callbacks and resources say of each other, once all is read of a call.

The rule of this file: only what a provider's own record proves is missing. A call is compared once; what
comes after that is late.
"""

from __future__ import annotations

from typing import Any

from stream.core.call.lifecycle import Survey
from stream.core.call.state import Call
from stream.core.effects import CallbackMissing, CallReconciled
from stream.core.policy import Policy
from stream.core.sources import POLLED_BITS, PROVIDERS, TELNYX_TEXML_CALLBACK

_OF_TEXML = [TELNYX_TEXML_CALLBACK]


def expected_of(call: Call, policy: Policy) -> list[str]:
    """The sources that should tell of this call, sorted."""
    return _OF_TEXML if call.is_texml else policy.expected(call.key.partition(":")[0])


def reconcile(call: Call, seen: Survey, policy: Policy, effects: list[Any]) -> None:
    """Compare what was sent with what the provider's resources say: once, when no more will be read."""
    arrival, provider = call.arrival, call.key.partition(":")[0]
    if arrival.reconciled or call.is_texml:
        return
    if not any(source.startswith(provider) for source in policy.polled):
        return
    arrival.reconciled = True
    missing = [
        entry for entry in call.lifecycle if entry.family == "progress" and not entry.sources & ~POLLED_BITS
    ]
    effects += [CallbackMissing(PROVIDERS[provider].pushed, entry.name) for entry in missing]
    if not call.sources & POLLED_BITS:
        result = "missing_poll"
    elif missing or not call.sources & ~POLLED_BITS:
        result = "missing_callback"
    else:
        result = "mismatch" if len(seen.statuses) > 1 else "match"
    effects.append(CallReconciled(provider, result))
