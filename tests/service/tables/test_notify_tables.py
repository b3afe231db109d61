"""The tables of sinks and routes: valid ones, and errors that do not repeat a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from stream.service.settings import SettingsError, load, problems
from stream.service.tables.notify_tables import RouteSetting, SinkSetting

KEY = "whsec_" + base64.b64encode(b"planted-signing-secret-0").decode()
SLACK = "https://hooks.slack.com/services/planted"
WEBHOOK = {"name": "hook", "type": "webhook", "url": "https://app.example.com/alerts", "secret": KEY}


def variables(sinks: object = (), routes: object = ()) -> dict[str, str]:
    return {"CALLSTREAM_NOTIFY_SINKS": json.dumps(sinks), "CALLSTREAM_NOTIFY_ROUTES": json.dumps(routes)}


def test_sinks_and_routes_come_from_the_settings_file_and_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "slack").write_text(f"{SLACK}\n")
    file = tmp_path / "callstream.toml"
    file.write_text(f"""
[[notify_sinks]]
name = "voice"
type = "slack"
url_file = "{tmp_path / "slack"}"

[[notify_routes]]
sink = "voice"
rules = ["webhook.*", "calls.failing"]
severities = ["critical"]

[[notify_routes]]
sink = "voice"
accounts = ["europe"]
wait_s = 60
""")
    found = load({"CALLSTREAM_CONFIG": str(file)})
    assert found.notify_sinks == (
        SinkSetting(name="voice", type="slack", url=SLACK, url_file=str(tmp_path / "slack")),
    )
    assert found.notify_routes == (
        RouteSetting(
            sink="voice", name="voice", rules=("webhook.*", "calls.failing"), severities=("critical",)
        ),
        RouteSetting(sink="voice", name="voice-2", accounts=("europe",), wait_s=60),
    )
    assert "planted" not in repr(found)


@pytest.mark.parametrize(
    ("sinks", "said"),
    [
        ([{"name": "A b", "type": "log"}], "name must be at most 32"),
        ([{"name": "a", "type": "mail"}], "type must be one of alertmanager, pagerduty, slack, webhook, log"),
        ([{"name": "a", "type": "slack"}], "a sink of type slack needs url or url_file"),
        ([{"name": "a", "type": "log", "url": SLACK}], "a sink of type log has no url"),
        ([{"name": "a", "type": "slack", "url": SLACK, "url_file": "x"}], "either url or url_file"),
        ([{"name": "a", "type": "slack", "url_file": "/none"}], "url_file cannot be read (FileNotFound"),
        (
            [{"name": "a", "type": "slack", "url_file": "~nobody-here/x"}],
            "url_file cannot be read (RuntimeError",
        ),
        ([{"name": "a", "type": "slack", "url": "ftp://planted"}], "url must be an http"),
        ([{"name": "a", "type": "slack", "url": f"{SLACK}?planted=1"}], "url must be an http"),
        ([WEBHOOK | {"secret": "planted"}], "secret must be whsec_ and base64 of 24 to 64 bytes"),
        ([WEBHOOK | {"retry_s": 0}], "retry_s must be from 1"),
        ([WEBHOOK | {"colour": "planted"}], "table 1 has an unknown key 'colour'"),
        ([WEBHOOK, WEBHOOK], "names a sink twice"),
        ([WEBHOOK | {"secret": 7}], "table 1: Expected `str`, got `int`"),
        ("planted", "must be a list of tables"),
    ],
)
def test_a_sink_that_cannot_work_is_refused_without_its_secrets(sinks: Any, said: str) -> None:
    (problem,) = problems(variables(sinks))
    assert said in problem
    assert "planted" not in problem


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"sink": "nobody"}, "CALLSTREAM_NOTIFY_ROUTES table 1: no sink is named nobody"),
        ({"sink": "log", "severities": ["high"]}, "severities must be some of critical, warning, info"),
        ({"sink": "log", "rules": ["*.failed"]}, "rules must be ids of rules"),
        ({"sink": "log", "per_minute": 0}, "per_minute must be from 1 to 60"),
        ({"sink": "log", "wait_s": 0}, "wait_s must be from 1 to 3600"),
    ],
)
def test_a_route_that_cannot_work_is_refused(route: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(variables(routes=[route]))
    assert said in str(refused.value)
