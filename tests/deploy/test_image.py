"""The parts of the container image: what it is built from, and its health check against a real HTTP."""

from __future__ import annotations

import asyncio
import re
import runpy
import subprocess
import sys
from dataclasses import fields

import pytest

from stream.service.http import health
from stream.service.settings import Settings, variable
from tests.tree import ROOT

HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"
LISTENS: dict[str, str] = runpy.run_path(str(HEALTHCHECK))["LISTENS"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def test_the_health_check_knows_every_address_and_default_of_a_role() -> None:
    defaults = {variable(about): about.default for about in fields(Settings)}
    assert {name: defaults[name] for name in LISTENS} == LISTENS
    own = {name for name in defaults if name.endswith("_LISTEN")}
    assert own - set(LISTENS) == {
        *("CALLSTREAM_GATEWAY_LISTEN", "CALLSTREAM_API_LISTEN", "CALLSTREAM_SIMULATE_LISTEN")
    }


def test_the_image_sets_only_settings_that_exist() -> None:
    names = {variable(about) for about in fields(Settings)}
    assert set(re.findall(r"CALLSTREAM_[A-Z_]+", DOCKERFILE)) <= names


@pytest.mark.parametrize(("is_live", "code"), [(True, 0), (False, 1)])
async def test_a_container_is_healthy_while_its_role_is_live(is_live: bool, code: int) -> None:
    async with health.serve(
        "127.0.0.1:0",
        metrics=lambda _: (b"", "text/plain"),
        live=lambda: (is_live, []),
        ready=lambda: (False, ["no broker"]),
    ) as url:
        # Nothing listens at port 1.
        environ = dict.fromkeys(LISTENS, "127.0.0.1:1") | {
            "CALLSTREAM_WORKER_LISTEN": url.replace("http://127.0.0.1", "0.0.0.0")
        }
        checking = await asyncio.create_subprocess_exec(sys.executable, str(HEALTHCHECK), env=environ)
        assert await checking.wait() == code


def test_a_container_without_a_role_is_not_healthy() -> None:
    environ = dict.fromkeys(LISTENS, "127.0.0.1:1")
    assert subprocess.run([sys.executable, str(HEALTHCHECK)], env=environ, check=False).returncode == 1
