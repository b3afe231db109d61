"""Short pauses, and an end of the process that a test can see."""

from __future__ import annotations

import pytest

from stream.engine import commit, lane, lanes, shared_transactions
from stream.engine.recovery import changelog
from tests.engine.fakes import raise_process_ended


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (commit, lane, lanes, shared_transactions):
        monkeypatch.setattr(module, "end_process", raise_process_ended)
    monkeypatch.setattr(commit, "FIRST_PAUSE_S", 0.01)
    for module in (commit, shared_transactions):
        monkeypatch.setattr(module, "REOPEN_EVERY_S", 0.01)
    monkeypatch.setattr(changelog, "FETCH_WAIT_S", 0.001)
    monkeypatch.setattr(changelog, "ASK_EVERY_S", 0.002)
