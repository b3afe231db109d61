"""Short pauses, and an end of the process that a test can see."""

from __future__ import annotations

import pytest

from stream.engine import changelog, commit, lane, lanes
from tests.engine.fakes import raise_process_ended


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (commit, lane, lanes):
        monkeypatch.setattr(module, "end_process", raise_process_ended)
    monkeypatch.setattr(commit, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(commit, "REOPEN_EVERY_S", 0.01)
    monkeypatch.setattr(changelog, "FETCH_WAIT_S", 0.001)
    monkeypatch.setattr(changelog, "ASK_EVERY_S", 0.002)
