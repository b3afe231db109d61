"""A real Prometheus that scrapes roles on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from tests.e2e.harness import wait_until

SCRAPE_S = 5


@contextmanager
def scraping(directory: Path, roles: Mapping[str, str]) -> Iterator[str]:
    """A Prometheus that scrapes these addresses, by role, and its base URL. Its data stays in `directory`."""
    program = shutil.which("prometheus")
    if program is None:
        assert not os.environ.get("CALLSTREAM_REQUIRE_TOOLS"), "Debian: apt-get install prometheus"
        pytest.skip("prometheus is not installed (Debian: apt-get install prometheus)")
    directory.mkdir()
    configuration = directory / "prometheus.yml"
    targets = [{"targets": [address], "labels": {"role": role}} for role, address in roles.items()]
    configuration.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": f"{SCRAPE_S}s"},
                "scrape_configs": [{"job_name": "callstream", "static_configs": targets}],
            }
        )
    )
    listen = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}"]
    with (directory / "log").open("wb") as log:
        running = subprocess.Popen([*command, f"--web.listen-address={listen}"], stdout=log, stderr=log)
    try:
        wait_until(lambda: _is_ready(f"http://{listen}"), "Prometheus is ready", 60)
        yield f"http://{listen}"
    finally:
        running.terminate()
        running.wait(30)


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
