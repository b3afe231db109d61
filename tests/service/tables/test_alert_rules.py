"""A file of alert rules changes what it names; a wrong one is refused with its reason and changes nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from stream.core.alerting.rules import DEFAULT_RULES, Rules, RulesError, read_rules
from stream.service.settings import load, problems
from stream.service.tables.alert_rules import load_rules, reload_rules

MINE = """
[[rules]]
id = "webhook.failing"
share = 0.2

[[overrides]]
rule = "webhook.failing"
account = "AC1"
endpoint = "https://app.example.com/*"
enabled = false

[links]
call = "https://grafana.example.com/d/call?key={key}"
"""


def test_a_file_changes_what_it_names_and_nothing_else() -> None:
    rules = read_rules(MINE)
    failing = rules.rule("webhook.failing")
    assert (failing.share, failing.least, failing.severity) == (0.2, 10, "critical")
    assert [rule for rule in rules if rule.id != "webhook.failing"] == [
        rule for rule in DEFAULT_RULES if rule.id != "webhook.failing"
    ]
    assert not rules.rule("webhook.failing", "AC1", "https://app.example.com/x").enabled
    for account, endpoint in (("AC2", "https://app.example.com/x"), ("AC1", "https://other.example.com/")):
        assert rules.rule("webhook.failing", account, endpoint).enabled
    assert rules.links({"key": "twilio:CA1", "twilio_error_code": None}) == {
        "call": "https://grafana.example.com/d/call?key=twilio%3ACA1"
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rules = 3", "rules must be"),
        ("[[rules]]\nid = 'call.odd'", "rules table 1: 'call.odd' is not a rule"),
        ("[[rules]]\nid = 'call.failed'\nshare = 0.1", "call.failed has no field share"),
        ("[[rules]]\nid = 'call.failed'\nseverity = 'fatal'", "severity"),
        ("[[rules]]\nid = 'webhook.failing'\nshare = 3", "<= 1"),
        ("[[rules]]\nid = ['call.short']", "is not a rule"),
        ("[[overrides]]\naccount = 'AC1'", "overrides table 1"),
        ("[[overrides]]\nrule = 'call.short'\nid = 'call.odd'", "overrides table 1: an override names"),
        ("[[overrides]]\nrule = 'call.short'\nid = 'call.failed'", "overrides table 1: an override names"),
        ("[[overrides]]\nrule = 'call.failed'\naccount = 1", "account must be a text"),
        ("[links]\ncall = 'https://x/{sid}'", "{sid} is not a placeholder"),
        ("[links]\ncall = 'ftp://x'", "https://"),
        ("[alerts]", "alerts is not one of"),
        ("[[rules]", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(RulesError) as refused:
        load_rules(path)
    assert str(path) in str(refused.value)
    assert reason in str(refused.value)
    (problem,) = problems({"CALLSTREAM_RULES": str(path)})
    assert problem.startswith(f"CALLSTREAM_RULES={path} cannot be used: ")
    assert reason in problem
    assert problem.count(str(path)) == 1


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert problems({"CALLSTREAM_RULES": str(missing)}) == [
        f"CALLSTREAM_RULES={missing} cannot be read: FileNotFoundError: No such file or directory (errno 2)"
    ]
    with pytest.raises(RulesError, match=f"^{missing} cannot be read"):
        load_rules(missing)
    (problem,) = problems({"CALLSTREAM_CONFIG": str(missing)})
    assert problem.count(str(missing)) == 1


def test_a_wrong_file_leaves_the_rules_as_they_were(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(MINE)
    assert load({"CALLSTREAM_RULES": str(path)}).rules == path
    used: list[Rules | None] = []
    with caplog.at_level(logging.INFO):
        reload_rules(path, used.append)
        path.write_text("[[rules]]\nid = 'no.such'")
        reload_rules(path, used.append)
        path.unlink()
        reload_rules(path, used.append)
    assert [rules and rules.rule("webhook.failing").share for rules in used] == [0.2, None, None]
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR", "ERROR"]


def test_the_link_to_a_call_opens_the_page_unless_the_file_has_a_template_of_its_own(tmp_path: Path) -> None:
    key = {"key": "twilio:CA1"}
    assert load_rules(None).links(key) == {}
    assert load_rules(None, "https://calls.example.com").links(key) == {
        "call": "https://calls.example.com/ui/calls/twilio%3ACA1"
    }
    path = tmp_path / "rules.toml"
    path.write_text('[links]\ncall = "https://wiki.example.com/{key}"\n')
    assert load_rules(path, "https://calls.example.com").links(key) == {
        "call": "https://wiki.example.com/twilio%3ACA1"
    }
    used: list[Rules | None] = []
    path.write_text("")
    reload_rules(path, used.append, "https://calls.example.com")
    assert [rules and rules.links(key) for rules in used] == [
        {"call": "https://calls.example.com/ui/calls/twilio%3ACA1"}
    ]


def test_the_address_of_the_page_is_a_url_without_placeholders() -> None:
    assert (
        load({"CALLSTREAM_UI_URL": "https://calls.example.com/ops/"}).ui_url
        == "https://calls.example.com/ops"
    )
    for wrong in ("calls.example.com", "https://calls.example.com/{key}", "https://user@calls.example.com"):
        (problem,) = problems({"CALLSTREAM_UI_URL": wrong})
        assert problem.startswith("CALLSTREAM_UI_URL")
