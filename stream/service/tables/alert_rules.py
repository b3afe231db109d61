"""The file of alert rules that CALLSTREAM_RULES names: read at start, and again on SIGHUP.

A file that is wrong when it is read again leaves the rules as they were. Rules change between two batches:
the episodes of what fires are in the states, so none is raised twice or lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from stream.core.alerting.rules import DEFAULT_RULES, Rules, RulesError, read_rules
from stream.service import setting_kinds as kinds
from stream.service.errors import describe

log = logging.getLogger("callstream.worker")


def load_rules(path: Path | None, ui_url: str = "") -> Rules:
    """The rules as shipped, with what the file changes in them. Raises RulesError, which names the file.

    - `ui_url`: of the page that `links.call` opens; empty: none.
    """
    try:
        return _rules_of(path).with_call_page(ui_url)
    except RulesError as error:
        raise RulesError(f"{path} {error}") from None


def rules_file(value: str) -> Path | None:
    """The path of a file of rules that can be used, from a setting's text.

    Raises ValueError or RulesError, which goes on behind the setting's text.
    """
    path = kinds.file_path(value) if value else None
    _rules_of(path)
    return path


def _rules_of(path: Path | None) -> Rules:
    """Raises RulesError, without the file."""
    if path is None:
        return DEFAULT_RULES
    try:
        return read_rules(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(f"cannot be read: {describe(error)}") from None
    except RulesError as error:
        raise RulesError(f"cannot be used: {error}") from None


def reload_rules(path: Path | None, use: Callable[[Rules | None], None], ui_url: str = "") -> None:
    """Read the file again and use it; a wrong one is logged and changes nothing (None)."""
    try:
        rules = load_rules(path, ui_url)
    except RulesError as error:
        log.error("the alert rules stay as they were: %s", error)
        use(None)
    else:
        log.info("alert rules read again from %s", path or "the defaults")
        use(rules)
