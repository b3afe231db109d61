"""When a page is opened in a browser."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream.cli.watch.browser import open_in_browser
from tests.e2e.harness import wait_until

PAGE = "https://calls.test/ui/calls/twilio%3ACA1"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desktop whose opener writes what it is given into this file."""
    file = tmp_path / "opened"
    opener = tmp_path / ("open" if sys.platform == "darwin" else "xdg-open")
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {file}.new && /bin/mv {file}.new {file}\n')
    opener.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return file


def test_on_a_desktop_its_browser_opens_the_page(opened: Path) -> None:
    assert open_in_browser(PAGE)
    wait_until(opened.exists, "it is opened", 10)
    assert opened.read_text() == PAGE


def test_over_ssh_and_without_an_opener_none_is_asked(opened: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    assert not open_in_browser(PAGE)
    monkeypatch.delenv("SSH_CONNECTION")
    monkeypatch.setenv("PATH", str(opened.parent / "elsewhere"))
    assert not open_in_browser(PAGE)


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac always has a desktop")
def test_without_a_desktop_none_is_asked(opened: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not open_in_browser(PAGE)
