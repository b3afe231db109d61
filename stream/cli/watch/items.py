"""What the live view lists: open conditions, then failed calls by verdict. Pure.

A filter's words must all stand in an item's text, in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from stream.archive.questions import StoredCall
from stream.cli.query.words import COLOUR_OF_SEVERITY, seconds, short_id, short_time
from stream.core.alerting.rules import SEVERITIES
from stream.core.verdicts.table import FAULTS
from stream.timeline.rows import moment_us

EACH = 8
"""Calls of a verdict that are shown where they are grouped."""

WITHOUT_VERDICT = "no fault"
"""Of calls that were answered, and of those that lost a dial against one that was."""

Alert = dict[str, Any]


class WatchedState(NamedTuple):
    """What was read at one moment: conditions that fire, and calls that were not answered, newest first."""

    conditions: Sequence[Alert]
    failures: Sequence[StoredCall]


class WatchItem(NamedTuple):
    """A line that can be chosen. `alert` is None of a call, `key` the call that it leads to, if any.

    - `page`: the address of that call's page; None where no page is known.
    """

    id: str
    key: str | None
    alert: Alert | None
    cells: tuple[str, ...]
    colour: str
    page: str | None

    @property
    def words(self) -> str:
        return " ".join(self.cells)


class WatchSection(NamedTuple):
    """Items below a heading. `left_out`: more items that are not shown."""

    heading: str
    items: Sequence[WatchItem]
    left_out: int = 0


def sections(state: WatchedState, wanted: str, *, grouped: bool, ui_url: str = "") -> list[WatchSection]:
    """The sections to show, with the items that the filter `wanted` lets through.

    - `grouped`: calls by verdict, those that one can do something about first; else all by time.
    - `ui_url`: of the page; empty: none.
    """

    def of_call(call: StoredCall) -> WatchItem:
        return _of_call(call, ui_url)

    words = wanted.lower().split()
    conditions = _kept((_of_alert(alert, ui_url) for alert in _most_urgent_first(state.conditions)), words)
    shown = [WatchSection(f"open conditions ({len(conditions)})", conditions)]
    if not grouped:
        calls = _kept(map(of_call, state.failures), words)
        return [*shown, WatchSection(f"failed calls ({len(calls)})", calls)]
    by_fault: dict[str, list[StoredCall]] = {fault: [] for fault in (*FAULTS, WITHOUT_VERDICT)}
    for call in state.failures:
        by_fault.setdefault(call.fault or WITHOUT_VERDICT, []).append(call)
    for fault, of_it in by_fault.items():
        if calls := _kept(map(of_call, of_it), words):
            heading = f"{fault} ({len(calls)})"
            shown.append(WatchSection(heading, calls[:EACH], max(0, len(calls) - EACH)))
    return shown


def _kept(items: Iterable[WatchItem], words: list[str]) -> list[WatchItem]:
    return [item for item in items if all(word in item.words.lower() for word in words)]


def _most_urgent_first(alerts: Iterable[Alert]) -> list[Alert]:
    """By severity; of one severity the newest first."""
    newest = sorted(alerts, key=lambda alert: str(alert.get("starts_at")), reverse=True)
    ranks: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    return sorted(newest, key=lambda alert: ranks.get(str(alert.get("severity")), len(ranks)))


def _of_alert(alert: Alert, ui_url: str) -> WatchItem:
    severity = str(alert.get("severity"))
    samples = alert.get("samples") or []
    cells = (
        short_time(alert.get("starts_at")),
        severity,
        str((alert.get("rule") or {}).get("id")),
        str((alert.get("reason") or {}).get("text") or ""),
    )
    key = samples[-1].get("key") if samples else None
    page = (alert.get("links") or {}).get("call") or page_of(key, ui_url)
    colour = COLOUR_OF_SEVERITY.get(severity, "")
    return WatchItem(f"alert:{alert.get('episode_id')}", key, alert, cells, colour, page)


def page_of(key: str | None, ui_url: str) -> str | None:
    """The address of a call's page."""
    return f"{ui_url}/ui/calls/{quote(key, safe='')}" if key and ui_url else None


def _of_call(call: StoredCall, ui_url: str) -> WatchItem:
    codes = [f"SIP {call.sip_response_code}"] if call.sip_response_code is not None else []
    cells = (
        short_time(call.started_at),
        call.outcome or call.status or "-",
        short_id(call.key, 6),
        f"{call.from_ or '-'} → {call.to or '-'}",
        " ".join([*codes, *call.error_codes]) or "-",
        call.fault or "-",
    )
    return WatchItem(f"call:{call.key}", call.key, None, cells, "", page_of(call.key, ui_url))


def details_of(alert: Alert) -> list[tuple[str, str]]:
    """(name, text) of what a condition says."""
    reason, window = alert.get("reason") or {}, alert.get("window") or {}
    rule = (alert.get("rule") or {}).get("id")
    said = [
        ("condition", f"{rule}, {alert.get('severity')}, {alert.get('state')}"),
        ("about", str((alert.get("scope") or {}).get("id"))),
        ("since", str(alert.get("starts_at"))),
        ("reason", str(reason.get("text") or "")),
        ("help", str(reason.get("help") or "")),
    ]
    if window:
        share = window.get("share")
        of_all = "an unknown number"
        if isinstance(share, int | float):
            of_all = f"{window.get('all')} ({100 * share:.0f} %)"
        said.append(("counted", f"{window.get('bad')} of {of_all}{_span_of(window)}"))
    said.append(("occurrences", str(alert.get("occurrences", 1))))
    said += [(name, str(url)) for name, url in (alert.get("links") or {}).items()]
    return [(name, text) for name, text in said if text]


def _span_of(window: dict[str, Any]) -> str:
    """How long a window is, as ` in 5 min`."""
    begin, end = moment_us(window.get("from")), moment_us(window.get("to"))
    return "" if begin is None or end is None else f" in {seconds((end - begin) / 1_000_000)}"
