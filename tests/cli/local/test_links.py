"""What `callstream up` names as worth opening."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.local.links import LISTENERS, links
from stream.service.settings import Settings

AT = {name: f"127.0.0.1:{9000 + number}" for number, name in enumerate(LISTENERS)}


def test_the_page_comes_first_at_the_address_of_the_api_or_where_people_reach_it() -> None:
    assert links(AT, Settings(), polled=False)[0] == ("page", f"http://{AT['api']}/ui")
    named = Settings(ui_url="https://calls.example.com")
    assert links(AT, named, polled=False)[0] == ("page", "https://calls.example.com/ui")


def test_only_roles_that_run_are_named() -> None:
    few = [name for name, _ in links(AT, Settings(), polled=False)]
    assert few == ["page", "webhooks", "look at it", "gateway", "worker", "archive", "api", "Kafka", "logs"]
    assert [name for name, _ in links(AT, Settings(), polled=True) if name not in few] == ["poller"]


def test_the_command_that_looks_at_it_is_named_by_its_shorter_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for program, said in (
        (f"{tmp_path}/.venv/bin/callstream", ".venv/bin/callstream"),
        ("/opt/cs", "/opt/cs"),
    ):
        monkeypatch.setattr("sys.argv", [program])
        assert dict(links(AT, Settings(), polled=False))["look at it"].split()[0] == said


def test_webhooks_go_to_https_where_the_gateway_has_a_certificate() -> None:
    secured = Settings(gateway_tls=(Path("cert.pem"), Path("key.pem")))
    assert dict(links(AT, secured, polled=False))["webhooks"].startswith(f"https://{AT['gateway']}/")
