"""What `make dist` builds: a source distribution, and from it a wheel that works without the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tests.tree import ROOT, source_files

DATA = {
    "agents/py.typed",
    "stream/py.typed",
    "stream/broker/jars.sha256",
    "stream/core/alerting/rules.toml",
    *(
        f"stream/cli/local/{folder}/{path.name}"
        for folder in ("alertmanager", "prometheus")
        for path in (ROOT / "deploy" / folder).glob("*.yml")
    ),
    *(
        str(path.relative_to(ROOT))
        for folder in ("static", "templates")
        for path in (ROOT / "stream" / "api" / "ui" / folder).iterdir()
    ),
}
"""What the packages read or need beside Python."""

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "stream", "agents", "deploy")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both files, built from a copy: a build writes beside its sources."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)],
        check=True,
        capture_output=True,
    )
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_packages_and_their_data_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = {*DATA, *(str(path.relative_to(ROOT)) for path in source_files())}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_its_version_and_extras_are_those_of_the_project(built: Path, wheel: zipfile.ZipFile) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = f"callstream-{project['version']}.dist-info"
    metadata = message_from_string(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Version"] == project["version"]
    assert {"broker", "rocksdb"} <= set(metadata.get_all("Provides-Extra", []))
    assert "callstream = stream.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert (built / f"callstream-{project['version']}.tar.gz").exists()


def test_the_source_distribution_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {*DATA, "pyproject.toml", "README.md", "LICENSE", "stream/cli/main.py", "agents/app.py"} <= held


def test_the_wheel_runs_without_the_checkout(built: Path, tmp_path: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    program = (
        "import runpy, sys\n"
        "sys.path.insert(0, sys.argv.pop(1))\n"
        "runpy.run_module('stream.cli', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(tmp_path), "topics", "--print", "json"],
        cwd=tmp_path,
        env={"CALLSTREAM_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "calls.callbacks.v1" in done.stdout
