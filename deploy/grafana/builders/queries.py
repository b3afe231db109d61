"""PromQL from parts: selectors by the dashboards' variables, rates, quantiles, ratios, ages.

Ratios are quotients of sums, never means of ratios. Without traffic they are NaN, which Grafana shows as a
gap: no traffic is not a fault.
"""

from __future__ import annotations

from deploy.grafana.builders.limits import VALUES

WINDOW: str = VALUES["kpi.window"]
"""The window of shares and quantiles, as most alert rules have it: with few calls a shorter one jumps."""

RATE = "$__rate_interval"

PROVIDER = 'provider=~"$provider"'
DIRECTION = f'{PROVIDER}, direction=~"$direction"'
CALL = f'{PROVIDER}, account=~"$account", direction=~"$direction"'
ACCOUNT = f'{PROVIDER}, account=~"$account"'
SOURCE = 'source=~"(?:$provider)_.*|unknown"'
"""A source's name begins with its provider; the sources of unreadable envelopes are unknown."""


def series(name: str, *selectors: str) -> str:
    """A selector of one family of callstream, by its name without the prefix."""
    chosen = ", ".join(selectors)
    return f"callstream_{name}{{{chosen}}}" if chosen else f"callstream_{name}"


def per_second(name: str, *selectors: str, by: str = "") -> str:
    """Events a second, summed over all labels but `by`."""
    return _sum(f"rate({series(name, *selectors)}[{RATE}])", by)


def per_minute(name: str, *selectors: str, by: str = "") -> str:
    """Events a minute, summed over all labels but `by`."""
    return f"60 * {per_second(name, *selectors, by=by)}"


def increase(name: str, *selectors: str, by: str = "", window: str = WINDOW) -> str:
    """Events within a window, summed over all labels but `by`."""
    return _sum(f"increase({series(name, *selectors)}[{window}])", by)


def total(name: str, *selectors: str, by: str = "") -> str:
    """A gauge's values, summed over all labels but `by`."""
    return _sum(series(name, *selectors), by)


def quantile(share: float, name: str, *selectors: str, by: str = "") -> str:
    """A quantile of a histogram, whose name has no `_bucket`."""
    grouped = f"le, {by}" if by else "le"
    buckets = _sum(f"rate({series(f'{name}_bucket', *selectors)}[{WINDOW}])", grouped)
    return f"histogram_quantile({share:g}, {buckets})"


def mean(name: str, *selectors: str, by: str = "") -> str:
    """The mean of a histogram's values."""
    return ratio(
        increase(f"{name}_sum", *selectors, by=by),
        increase(f"{name}_count", *selectors, by=by),
    )


def buckets(name: str, *selectors: str) -> str:
    """A histogram's buckets over time, for a heat map."""
    return _sum(f"increase({series(f'{name}_bucket', *selectors)}[{RATE}])", "le")


def ratio(part: str, whole: str) -> str:
    return f"{part} / {whole}"


def age(name: str, *selectors: str, by: str) -> str:
    """Seconds since the newest value of a timestamp; no series where it was never set."""
    return f"time() - (max by ({by}) ({series(name, *selectors)}) > 0)"


def ended(*outcomes: str, by: str = "") -> str:
    """The calls that ended within the window, of these outcomes or of all."""
    chosen = f'outcome=~"{"|".join(outcomes)}"' if outcomes else ""
    return increase("calls_ended_total", *filter(None, (CALL, chosen)), by=by)


def answered_share(by: str = "") -> str:
    """The answer-seizure ratio, ITU-T E.411."""
    return ratio(ended("answered", by=by), ended(by=by))


def effective_share(by: str = "") -> str:
    """The network effectiveness ratio, ITU-T E.425: what the network carried, whatever people did with it."""
    carried = ended("answered", "busy", "no_answer", "canceled", "rejected", by=by)
    return ratio(carried, ended(by=by))


def response_share(codes: str, by: str, *, redirected: bool = False) -> str:
    """The share of these final SIP codes in all attempts, without 3xx unless `redirected`. RFC 6076."""
    attempts = () if redirected else ('sip_code!~"3.."',)
    return ratio(
        increase("call_final_responses_total", DIRECTION, f'sip_code=~"{codes}"', by=by),
        increase("call_final_responses_total", DIRECTION, *attempts, by=by),
    )


def failed_responses() -> str:
    """Calls a minute by final SIP response code other than 200; only codes that occurred."""
    found = per_minute("call_final_responses_total", DIRECTION, 'sip_code!="200"', by="sip_code")
    return f"{found} > 0"


def error_codes() -> str:
    """Calls a minute by error code; only codes that occurred."""
    return f"{per_minute('call_errors_total', PROVIDER, by='provider, error_code')} > 0"


def verdicts() -> str:
    """Calls a minute that did not succeed, by whose fault it was; only faults that occurred."""
    return f"{per_minute('verdicts_total', DIRECTION, by='fault')} > 0"


def conditions() -> str:
    """Episodes that are about more than one call."""
    rules = f'rule=~"{VALUES["conditions.rules"]}"'
    return f"{total('alerts_active', rules, by='rule, severity')} > 0"


def _sum(expression: str, by: str) -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"
