"""The alert rules as data: `rules.toml` beside this file, and what a file of the operator changes in it."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal, get_args
from urllib.parse import quote

import msgspec

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The most urgent first."""

LINKS = ("call", "runbook", "provider_console", "error_code")
PLACEHOLDERS = frozenset(
    {
        "key",
        "call_id",
        "twilio_call_id",
        "telnyx_call_id",
        "provider",
        "account",
        "account_alias",
        "rule",
        "endpoint",
        "twilio_error_code",
    }
)

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class RulesError(ValueError):
    """A file of rules that cannot be used. The message says where and why."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule; the meaning of its fields is in `rules.toml`. None where the rule has no such field."""

    id: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    enabled: bool
    severity: Severity
    at_most_s: _Seconds | None = None
    longer_than_s: _Seconds | None = None
    window_s: Annotated[float, msgspec.Meta(ge=60, le=3600)] = 300.0
    least: Annotated[int, msgspec.Meta(ge=1)] = 1
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    quiet_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)] = 600.0
    usual_times: Annotated[float, msgspec.Meta(ge=1)] | None = None
    critical_times: Annotated[float, msgspec.Meta(ge=1)] | None = None

    @property
    def window_min(self) -> int:
        """Whole minutes that are counted together."""
        return max(1, round(self.window_s / 60))


class _Override(msgspec.Struct, frozen=True):
    """A rule with other values, for what matches."""

    account: str | None
    endpoint: re.Pattern[str] | None
    rule: Rule


class Rules:
    """All rules of an installation. `links`: the templates of links, by the link's name."""

    def __init__(self, by_id: dict[str, Rule], overrides: list[_Override], links: dict[str, str]) -> None:
        self._by_id = by_id
        self._overrides = overrides
        self._links = links

    def __iter__(self) -> Any:
        return iter(self._by_id.values())

    def with_call_page(self, ui_url: str) -> Rules:
        """The same rules, with `links.call` to the page at this address, unless there is a template for it.

        - `ui_url`: without `/` at its end; empty: no page.
        """
        if not ui_url or "call" in self._links:
            return self
        return Rules(self._by_id, self._overrides, {"call": f"{ui_url}/ui/calls/{{key}}", **self._links})

    def rule(self, rule_id: str, account: str | None = None, endpoint: str = "") -> Rule:
        """The rule for an account's id and, of a condition, an endpoint's URL."""
        for one in self._overrides:
            if (
                one.rule.id == rule_id
                and one.account in (None, account)
                and (one.endpoint is None or one.endpoint.fullmatch(endpoint))
            ):
                return one.rule
        return self._by_id[rule_id]

    def links(self, values: dict[str, str | None]) -> dict[str, str]:
        """The links of an alert with these values. One with an unknown value is left out."""
        return {
            name: _PLACEHOLDER.sub(lambda match: quote(values[match[1]] or "", safe=""), template)
            for name, template in self._links.items()
            if all(map(values.get, _placeholders(template)))
        }


@lru_cache(maxsize=64)
def _placeholders(template: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(template))


def _table(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {table["id"]: table for table in content["rules"]}


_CONTENT = tomllib.loads(files(__package__).joinpath("rules.toml").read_text("utf-8"))
_DEFAULTS = _table(_CONTENT)
RULE_IDS: tuple[str, ...] = tuple(_DEFAULTS)


def read_rules(text: str) -> Rules:
    """The rules with what the TOML file `text` changes in them. Raises RulesError."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"not TOML: {error}") from None
    if unknown := sorted(given.keys() - {"rules", "overrides", "links"}):
        raise RulesError(f"{unknown[0]} is not one of rules, overrides, links")
    merged = {rule_id: dict(fields) for rule_id, fields in _DEFAULTS.items()}
    for where, table in _tables(given, "rules"):
        merged[_known_id(where, table.get("id"))].update(table)
    by_id = {rule_id: _rule(f"rule {rule_id}", fields) for rule_id, fields in merged.items()}
    overrides = []
    for where, table in _tables(given, "overrides"):
        rule_id = _known_id(where, table.pop("rule", None))
        if "id" in table:
            raise RulesError(f"{where}: an override names its rule as rule, not as id")
        account, endpoint = table.pop("account", None), table.pop("endpoint", None)
        for name, value in (("account", account), ("endpoint", endpoint)):
            if not isinstance(value, str | None):
                raise RulesError(f"{where}: {name} must be a text")
        pattern = None
        if endpoint is not None:
            pattern = re.compile(".*".join(map(re.escape, endpoint.split("*"))))
        overrides.append(_Override(account, pattern, _rule(where, merged[rule_id] | table)))
    return Rules(by_id, overrides, _checked_links({**_CONTENT["links"], **_mapping(given, "links")}))


def _tables(given: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    found = given.get(name, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise RulesError(f"{name} must be [[{name}]] tables")
    return [(f"{name} table {number}", dict(table)) for number, table in enumerate(found, 1)]


def _mapping(given: dict[str, Any], name: str) -> dict[str, Any]:
    found = given.get(name, {})
    if not isinstance(found, dict):
        raise RulesError(f"{name} must be a [{name}] table")
    return found


def _known_id(where: str, rule_id: object) -> str:
    if not isinstance(rule_id, str) or rule_id not in _DEFAULTS:
        raise RulesError(f"{where}: {rule_id!r} is not a rule; the rules are {', '.join(RULE_IDS)}")
    return rule_id


def _rule(where: str, fields: dict[str, Any]) -> Rule:
    if unknown := sorted(fields.keys() - _DEFAULTS[fields["id"]].keys()):
        raise RulesError(f"{where}: {fields['id']} has no field {unknown[0]}")
    try:
        return msgspec.convert(fields, Rule)
    except msgspec.ValidationError as error:
        raise RulesError(f"{where}: {error}") from None


def _checked_links(links: dict[str, Any]) -> dict[str, str]:
    for name, template in links.items():
        if name not in LINKS:
            raise RulesError(f"links: {name} is not one of {', '.join(LINKS)}")
        if not isinstance(template, str) or not template.startswith(("https://", "http://")):
            raise RulesError(f"links: {name} must be a text that begins with https:// or http://")
        if unknown := sorted(_placeholders(template) - PLACEHOLDERS):
            raise RulesError(f"links: {name}: {{{unknown[0]}}} is not a placeholder")
    return links


DEFAULT_RULES = read_rules("")
