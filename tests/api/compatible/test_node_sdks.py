"""Twilio's and Telnyx' SDKs for Node read from callstream what they read from the simulated providers.

What is tried is in `node_sdks.js`: every method that reads what callstream answers, with every filter.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.api.compatible.sdk_servers import SdkServers, sdk_servers
from tests.simulator.rest.resource_fakes import TELNYX_KEY, TOKEN

pytestmark = pytest.mark.sdk

SDKS = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callstream" / "sdks" / "node_modules"
)
SCRIPT = Path(__file__).parent / "node_sdks.js"


def read(base: str, servers: SdkServers) -> dict[str, Any]:
    """What the SDKs give, by method and filters."""
    asked = {
        "base": base,
        "account": servers.about.account,
        "token": TOKEN,
        "key": TELNYX_KEY,
        "about": asdict(servers.about),
    }
    done = subprocess.run(
        ["node", str(SCRIPT), str(SDKS)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(
    not (shutil.which("node") and (SDKS / "twilio").is_dir() and (SDKS / "telnyx").is_dir())
    and "REQUIRE_NODE_SDKS" not in os.environ,
    reason="the SDKs for Node are not installed: tests/api/compatible/get-sdks.sh does it, with Node",
)
def test_each_method_and_filter_gives_what_the_provider_gives(tmp_path: Path) -> None:
    with sdk_servers(tmp_path) as servers:
        theirs, ours = read(servers.provider, servers), read(servers.callstream, servers)
    assert theirs.keys() == ours.keys()
    assert {name: ours[name] for name in ours if ours[name] != theirs[name]} == {}
    assert len(ours) > 180
    assert sum(bool(found) for found in ours.values()) > 120
