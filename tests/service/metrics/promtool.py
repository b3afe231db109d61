"""What promtool says of an exposition."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def complaints(exposition: bytes) -> tuple[int, bytes]:
    """(exit code, output) of `promtool check metrics`. Only a developer's machine may go without it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CALLSTREAM_REQUIRE_TOOLS"):
            pytest.fail(
                "promtool is missing and CALLSTREAM_REQUIRE_TOOLS is set: install Debian's `prometheus`"
            )
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    check = subprocess.run([promtool, "check", "metrics"], input=exposition, capture_output=True, check=False)
    return check.returncode, check.stdout + check.stderr
