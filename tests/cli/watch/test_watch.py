"""Where `callstream watch` finds the service that it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stream.cli.local.links import LISTENERS
from stream.cli.local.sole_run import sole_run
from stream.cli.watch import watch
from tests.cli.query.stored import stored

Seen = tuple[dict[str, str], str]


def seen_by_watch(monkeypatch: pytest.MonkeyPatch, directory: Path, **settings: str) -> Seen:
    """The roles that it asks, and where its links lead."""
    seen: list[Seen] = []

    class Noted:
        def __init__(self, reader: Any, wanted: Any, figures: watch.ScrapedFigures, *, ui_url: str) -> None:
            seen.append(({name: role.url for name, role in figures.roles.items()}, ui_url))

        async def show(self) -> None: ...

    monkeypatch.setattr(watch, "WatchApp", Noted)
    monkeypatch.setattr(watch, "is_interactive", lambda: True)
    environ = {f"CALLSTREAM_{name.upper()}": value for name, value in settings.items()}
    result = CliRunner().invoke(watch.command, [], env={"CALLSTREAM_DATA_DIR": str(directory), **environ})
    assert result.exit_code == 0, result.output
    return seen[0]


def test_it_asks_the_roles_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with stored(tmp_path, "spam-block"):
        roles, page = seen_by_watch(monkeypatch, tmp_path, worker_listen="127.0.0.1:7001")
    assert [*roles] == ["gateway", "worker", "poller", "archive", "api"]
    assert (roles["worker"], roles["gateway"]) == ("http://127.0.0.1:7001", "http://127.0.0.1:8084")
    assert page == "http://127.0.0.1:8087"


def test_it_asks_the_roles_of_an_up_that_runs_in_its_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = {name: f"127.0.0.1:{7000 + number}" for number, name in enumerate(LISTENERS)}
    with stored(tmp_path, "spam-block"), sole_run(tmp_path) as tell:
        tell(at)
        roles, page = seen_by_watch(monkeypatch, tmp_path)
        assert page == f"http://{at['api']}"
        assert seen_by_watch(monkeypatch, tmp_path, ui_url="https://calls.test")[1] == "https://calls.test"
    assert roles["api"] == f"http://{at['api_health']}"
    assert roles["worker"] == f"http://{at['worker']}"


def test_of_another_machine_it_knows_the_page_and_no_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    far, near = "https://calls.example.com", "http://127.0.0.1:8087"
    assert seen_by_watch(monkeypatch, tmp_path, api_url=far) == ({}, far)
    assert seen_by_watch(monkeypatch, tmp_path, api_url=near)[0]["worker"] == "http://127.0.0.1:8081"
