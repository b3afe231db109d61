"""The systemd units: what they set exists, and a role that is started so reports that it is ready."""

from __future__ import annotations

import ctypes
import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from stream.cli.support.exit_codes import EXIT_CODES, MISUSE, TERMINATED, TOPIC_MISMATCH
from stream.service.settings import Settings, variable
from tests.real_broker import RealBroker
from tests.tree import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
READY_S = 60
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


def values(unit: Path, key: str) -> list[str]:
    """The values of a unit's key, in order."""
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def environment(unit: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in values(unit, "Environment"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_sets_only_settings_that_exist(unit: Path) -> None:
    names = {variable(about) for about in fields(Settings)}
    assert set(environment(unit)) <= names
    example = (FOLDER / "callstream.env.example").read_text()
    set_there = dict(re.findall(r"^#?(CALLSTREAM_\w+)=(.*)$", example, re.MULTILINE))
    assert set(set_there) <= names
    secrets = {variable(about) for about in fields(Settings) if about.metadata["secret"]}
    assert not set(set_there) & secrets


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_role_that_only_an_operator_can_mend_is_not_started_again(unit: Path) -> None:
    different_versions = next(code for code, meaning in EXIT_CODES.items() if "same version" in meaning)
    (codes,) = values(unit, "RestartPreventExitStatus")
    assert {int(code) for code in codes.split()} == {MISUSE, TOPIC_MISMATCH, different_versions}
    assert values(unit, "SuccessExitStatus") == [str(TERMINATED)]


def test_a_worker_alone_reads_its_rules_again_when_it_runs() -> None:
    """systemd reloads no unit that is starting. A role that has no handler yet, or none at all, would end."""
    assert {unit.name: values(unit, "ExecReload") for unit in UNITS if "ExecReload" in unit.read_text()} == {
        "callstream-worker@.service": ["/bin/kill -HUP $MAINPID"]
    }


def test_all_units_are_hardened_alike() -> None:
    assert len({unit.read_text().partition("\n# No user")[2] for unit in UNITS}) == 1


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_role_tells_systemd_that_it_is_ready_and_stops_with_0(
    unit: Path, broker: RealBroker, tmp_path: Path
) -> None:
    """`MemoryDenyWriteExecute` holds in it, from Linux 6.3 on."""
    role = unit.name.removeprefix("callstream-").removesuffix(".service").rstrip("@")
    specifiers = {"%S": str(tmp_path), "%H": "host", "%i": "1"}
    environ = {
        name: re.sub("%.", lambda match: specifiers[match[0]], value)
        for name, value in environment(unit).items()
    }
    listens = {
        variable(about): f"127.0.0.1:{free_port()}"
        for about in fields(Settings)
        if about.name.endswith("listen")
    }
    address = tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        (tmp_path / "log").open("w") as log,
    ):
        systemd.bind(str(address))
        systemd.settimeout(READY_S)
        (started,) = values(unit, "ExecStart")
        program = [sys.executable, "-m", "stream.cli", *started.split()[1:]]
        process = subprocess.Popen(
            program,
            cwd=ROOT,
            env={**environ, **listens, "CALLSTREAM_KAFKA": broker.bootstrap, "NOTIFY_SOCKET": str(address)}
            | {"CALLSTREAM_TOPIC_PREFIX": f"systemd-{role}."},
            stderr=log,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0),
        )
        try:
            assert systemd.recv(100) == b"READY=1"
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        assert code == 0, (tmp_path / "log").read_text()
