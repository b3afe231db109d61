"""How many file descriptors there may be, and what of them is kept from connections."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stream.service.http.descriptors import FEWEST, RESERVE, connections_at_most


@pytest.mark.parametrize(
    ("wanted", "limit", "granted"),
    [
        (4096, 1_048_576, 4096),
        (4096, 1024, 1024 - RESERVE),
        (4096, 200, 200 - RESERVE),
        (4096, 100, FEWEST),
    ],
)
def test_connections_leave_what_a_role_needs_for_itself(wanted: int, limit: int, granted: int) -> None:
    assert connections_at_most(wanted, limit) == granted


def test_the_soft_limit_becomes_the_hard_one() -> None:
    program = (
        "import json, resource\n"
        "from stream.service.http.descriptors import raise_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))\n"
        "print(json.dumps([raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [300, 300, 300]
