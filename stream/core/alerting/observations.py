"""What one call tells about a scope that it shares with others: the answers of an endpoint, how calls end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeGuard

from stream.core.alerting.rules import Rules
from stream.core.effects import CallbackAudited, CallEnded, Observed
from stream.core.events import Reading, WebhookAnswer
from stream.core.privacy.masking import Privacy

FAILING_CLASSES = frozenset({"4xx", "5xx", "timeout", "none", "invalid"})

_MASKED = Privacy("masked")
"""A scope is a Kafka key: it holds no number in any privacy mode."""

_ID = re.compile(r"(?<=[^/]/)(?:\d{5,}|(?=(?:[^/]*\d){4})[^/]{16,})(?=/|$)")
"""A part of a path that is an id: digits, or long with several of them."""


@lru_cache(maxsize=4096)
def endpoint_of(url: str) -> str:
    """What requests to a URL are counted together as: ids in its path are `*`, else each call might have an
    endpoint of its own.
    """
    return _ID.sub("*", _MASKED.url(url))


def is_failing(answer: WebhookAnswer | None) -> TypeGuard[WebhookAnswer]:
    return answer is not None and answer.code_class in FAILING_CLASSES


def endpoint_key(provider: str, account: str | None, url: str) -> str:
    """The scope of an endpoint of the application."""
    return f"{provider}:endpoint:{account or ''}:{endpoint_of(url)}"


def failures_key(provider: str, account: str | None, direction: str | None) -> str:
    """The scope in which the calls of an account and direction are counted."""
    return f"{provider}:failures:{account or ''}:{direction or ''}"


def failure_code(sip_response_code: int | None, error_code: str | None) -> str:
    """The code by which failures of calls are counted together."""
    if sip_response_code is not None:
        return f"sip-{sip_response_code}"
    return f"error-{_MASKED.text(error_code)}" if error_code is not None else "no-code"


def answered(reading: Reading, answer: WebhookAnswer, at_us: int, heard_us: int, rules: Rules) -> Observed:
    """A row of a log that has good answers and bad ones. `at_us`: when it was sent."""
    counters: tuple[str, ...] = ("answers",)
    event = reading.event
    if is_failing(answer):
        counters = ("answers", "failing")
    elif answer.duration_s is not None:
        slow_s = rules.rule("webhook.slow", event.account, endpoint_of(answer.endpoint)).longer_than_s
        if slow_s is not None and answer.duration_s > slow_s:
            counters = ("answers", "slow")
    return _observed(reading, answer, at_us, heard_us, counters)


def failed(reading: Reading, answer: WebhookAnswer, at_us: int, heard_us: int) -> Observed:
    """A failure that no log has told of before, however it is told."""
    return _observed(reading, answer, at_us, heard_us, ("reported",))


def _observed(
    reading: Reading, answer: WebhookAnswer, at_us: int, heard_us: int, counters: tuple[str, ...]
) -> Observed:
    event = reading.event
    bad = counters != ("answers",)
    return Observed(
        endpoint_key(event.provider, event.account, answer.endpoint),
        at_us,
        heard_us,
        counters,
        (event.key, described(answer)) if bad else None,
    )


def described(answer: WebhookAnswer) -> str:
    """What became of the request, in a few words."""
    if answer.code_class == "timeout":
        return "no answer in time"
    if answer.code_class == "none":
        return "no answer"
    said = f"answered {answer.response_code}" if answer.response_code else "not accepted"
    if answer.code_class == "invalid":
        said += ", which the provider could not use"
    return said + (f" after {answer.duration_s:g} s" if answer.duration_s is not None else "")


def call_ended(key: str, ended: CallEnded, error_code: str | None, at_us: int, heard_us: int) -> Observed:
    """A call has reached its first terminal status."""
    scope = failures_key(ended.provider, ended.account, ended.direction)
    if ended.outcome != "failed":
        return Observed(scope, at_us, heard_us, ("ended",))
    code = failure_code(ended.sip_response_code, error_code)
    return Observed(scope, at_us, heard_us, ("ended", code), (key, f"failed with {code.replace('-', ' ')}"))


def audited(key: str, effects: Iterable[Any], heard_us: int) -> list[Observed]:
    """What the audit of a call's callbacks came to. Its time is the audit's: what never came has none."""
    found = []
    for one in effects:
        if type(one) is CallbackAudited:
            scope = endpoint_key(one.provider, one.account, one.endpoint)
            if one.result == "missing":
                sample = (key, f"no callback for {one.event}")
                found.append(Observed(scope, heard_us, heard_us, ("callbacks", "missing"), sample))
            else:
                found.append(Observed(scope, heard_us, heard_us, ("callbacks",)))
    return found
