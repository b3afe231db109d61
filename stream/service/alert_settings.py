"""What a worker raises alerts with, and where their links lead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.service import setting_kinds as kinds
from stream.service.setting_kinds import setting
from stream.service.tables.alert_rules import rules_file


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """The rules of alerts, and the address of the page that shows their calls."""

    rules: Path | None = setting(
        None,
        "TOML file of what differs from the shipped [alert rules](alert-rules.md#rules), read again on "
        "SIGHUP; empty: none",
        rules_file,
    )
    ui_url: str = setting(
        "",
        "where people reach the [page](page.md), without `/ui`: `links.call` of alerts opens the call there; "
        "empty: no such link",
        kinds.page_url,
    )
