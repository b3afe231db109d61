"""The shape of the tree: sizes of folders and files, and one name for one thing."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.tree import ROOT, source_files, tree_of

TOP_LEVEL = {
    "agents",
    "asyncapi.yaml",
    "CHANGELOG.md",
    "constraints.txt",
    "CONTRIBUTING.md",
    "deploy",
    "docs",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    "README.md",
    "SECURITY.md",
    "stream",
    "tests",
}


FILES_IN_A_FOLDER = 12
LINES_IN_A_FILE = 350


def test_a_folder_has_no_more_files_than_one_can_overlook() -> None:
    files: dict[Path, int] = defaultdict(int)
    for path in source_files():
        files[path.parent] += path.name != "__init__.py"
    assert {
        str(folder.relative_to(ROOT)): count for folder, count in files.items() if count > FILES_IN_A_FOLDER
    } == {}


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (*source_files(), *(ROOT / "tests").rglob("*.py"))
    }
    assert {path: count for path, count in lines.items() if count > LINES_IN_A_FILE} == {}


def test_no_two_public_classes_have_one_name() -> None:
    bearers: dict[str, list[str]] = defaultdict(list)
    for path in source_files():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bearers[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in bearers.items() if len(paths) > 1} == {}


def test_the_top_level_holds_what_the_design_names() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert not {name for name in top if not name.startswith(".")} - TOP_LEVEL


@pytest.mark.parametrize(
    ("target", "extras"), [("run", {"broker", "rocksdb"}), ("unit", {"broker", "rocksdb", "dev"})]
)
def test_what_runs_is_installed_without_what_tests_it(target: str, extras: set[str]) -> None:
    steps = subprocess.run(
        ["make", "-n", "-B", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(",".join(re.findall(r"--editable '\.\[(.*?)\]'", steps)).split(",")) == extras


def test_no_file_is_named_after_nothing() -> None:
    nothing = {"utils", "util", "common", "helpers", "helper", "models", "_core", "misc"}
    assert {path for path in source_files() if path.stem in nothing} == set()


def test_a_file_begins_with_what_it_is() -> None:
    assert {
        path for path in source_files() if path.read_text().strip() and not ast.get_docstring(tree_of(path))
    } == set()


@pytest.mark.parametrize(
    ("took_us", "chosen"),
    [
        ({"first": 1000, "second": 950}, "first"),
        ({"first": 1000, "second": 800, "third": 790}, "second"),
        ({"first": 0, "second": 2000}, "second"),
        ({"busy": 1000, "second": 950}, "busy"),
    ],
)
def test_make_takes_the_first_interpreter_or_one_that_is_clearly_faster(
    tmp_path: Path, took_us: dict[str, int], chosen: str
) -> None:
    """Stand-ins that say what the loop took, 0 for one that does not fit, twice as much at first if busy."""
    for name, us in took_us.items():
        stand_in = tmp_path / name
        stand_in.write_text(
            '#!/bin/sh\ncase "$1" in\n'
            f"-c) test {us} -gt 0 || exit 1\n"
            f'[ {name} = busy ] && mkdir "$0.turn" 2>/dev/null && echo {2 * us} || echo {us} ;;\n'
            f'-m) mkdir -p "$3/bin" && echo {name} > "$3/bin/python" ;;\nesac\n'
        )
        stand_in.chmod(0o755)
    venv = tmp_path / "venv"
    settings = [f"VENV={venv}", f"PYTHONS={' '.join(took_us)}", f"PATH={tmp_path}:{os.environ['PATH']}"]
    made = subprocess.run(
        ["make", *settings, str(venv / "bin/python")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (venv / "bin/python").read_text() == f"{chosen}\n"
    assert f"{tmp_path}/{chosen} ..." in made.stdout
