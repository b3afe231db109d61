"""Prometheus and Alertmanager, which a person's machine may be without."""

from __future__ import annotations

import os

import pytest

from stream.cli.local.observability import HOW_TO_GET, NotInstalledError, Programs, installed


@pytest.fixture
def programs() -> Programs:
    try:
        found = installed()
    except NotInstalledError:
        found = None
    if found is None or found.alertmanager is None:
        if os.environ.get("CALLSTREAM_REQUIRE_TOOLS"):
            pytest.fail(HOW_TO_GET)
        pytest.skip(HOW_TO_GET)
    return found
