"""What a template is given to print."""

from __future__ import annotations

from typing import Any

import pytest

from stream.api.ui.rendering import STATIC_TYPES, call_path, render, short_key, static_path, web_links


def test_only_web_addresses_become_links_and_those_within_the_page_are_left_out() -> None:
    links = {
        "runbook": "https://wiki.example.com/r?a=b&c=d",
        "call": "https://calls.example.com/ui/calls/x",
        "parent_alert": "urn:uuid:1",
        "provider_console": "javascript:alert(1)",
        "error_code": "https://x y",
    }
    assert web_links(links) == [("runbook", "https://wiki.example.com/r?a=b&c=d")]


def shown(**said: Any) -> str:
    """A page with an alert."""
    alert = {
        "severity": "critical", "state": "firing", "rule": {"id": "webhook.failing"}, "ends_at": None,
        "starts_at": "2026-03-02T10:00:00.000000Z", "occurrences": 1, "samples": [], "window": None,
        "reason": {"text": "It fails.", "code": "x", "help": None}, "account_alias": "default",
        "scope": {"type": "endpoint", "id": "twilio:endpoint:AC1:https://a"}, "webhook": None,
        "links": {}, **said,
    }  # fmt: skip
    return render("alerts.html", {
        "alerts": [alert], "asked": {}, "caller": None, "fields": (), "here": "/ui/alerts", "of_call": False,
        "older": None, "section": "", "sessions": False, "theme": None, "title": "Alerts", "wrong": [],
    })  # fmt: skip


def test_an_alert_shows_its_links_escaped() -> None:
    text = shown(links={"runbook": 'https://wiki.example.com/"><script>'})
    assert '<a href="https://wiki.example.com/&#34;&gt;&lt;script&gt;" rel="noreferrer">runbook</a>' in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "10 of an unknown number between"), (0.05, "10 of 200 between 10:00:00 and 10:05:00, 5.0 %")],
)
def test_a_number_that_is_not_known_is_not_shown_as_one(share: float | None, text: str) -> None:
    span = {"from": "2026-03-02T10:00:00.000000Z", "to": "2026-03-02T10:05:00.000000Z"}
    assert text in shown(window={"bad": 10, "all": 200 if share else 10, "share": share, **span})


def test_a_key_is_one_part_of_a_path_and_is_shown_short() -> None:
    assert call_path("telnyx:v3:a/b?c") == "/ui/calls/telnyx%3Av3%3Aa%2Fb%3Fc"
    assert short_key("twilio:CA0123456789abcdef0123456789abcdef") == "CA01234567…abcdef"
    assert (short_key("telnyx:short"), short_key("odd")) == ("short", "odd")


def test_every_file_has_an_address_of_its_content() -> None:
    assert len({static_path(name).partition("?v=")[2] for name in STATIC_TYPES}) == len(STATIC_TYPES)
