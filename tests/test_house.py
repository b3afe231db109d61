"""The shape of the tree: directions of imports, sizes of folders and files, one name for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent

LAYERS = {
    "stream": (
        "core",
        "sources",
        "service",
        "kafka",
        "engine",
        "faust_bridge",
        "broker",
        "gateway",
        "poller",
        "simulator",
        "cli",
    ),
    "stream.core": ("privacy", "call"),
    "stream.service": ("http", "metrics"),
    "stream.gateway": ("receive", "diagnose"),
    "stream.poller": ("resources", "limiter", "pages", "schedule", "on_demand"),
    "stream.simulator": ("calls", "twilio", "telnyx", "rest", "delivery", "check"),
    "stream.cli": ("support", "local", "checkup"),
}
"""The folders of a folder, from the bottom to the top: one imports only from those before it."""

FILES_IN_A_FOLDER = 12
LINES_IN_A_FILE = 350


def product_files() -> list[Path]:
    return sorted(path for top in ("stream", "agents") for path in (ROOT / top).rglob("*.py"))


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The modules that each module imports, wherever the import stands, `TYPE_CHECKING` included."""
    graph = grimp.build_graph("stream", "agents", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_files_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("parent", LAYERS)
def test_a_folder_imports_only_from_those_below_it(parent: str, imports: dict[str, set[str]]) -> None:
    order = {f"{parent}.{name}": position for position, name in enumerate(LAYERS[parent])}

    def folder(module: str) -> str:
        return ".".join(module.split(".")[: parent.count(".") + 2])

    upward = {
        f"{module} -> {imported}"
        for module, all_imported in imports.items()
        for imported in all_imported
        if folder(module) in order
        and folder(imported) in order
        and order[folder(imported)] > order[folder(module)]
    }
    assert not upward


@pytest.mark.parametrize("parent", LAYERS)
def test_the_layers_name_every_folder(parent: str) -> None:
    path = ROOT.joinpath(*parent.split("."))
    assert set(LAYERS[parent]) == {one.name for one in path.iterdir() if any(one.glob("*.py"))}


def test_a_folder_has_no_more_files_than_one_can_overlook() -> None:
    files: dict[Path, int] = defaultdict(int)
    for path in product_files():
        files[path.parent] += path.name != "__init__.py"
    assert {
        str(folder.relative_to(ROOT)): count for folder, count in files.items() if count > FILES_IN_A_FOLDER
    } == {}


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (*product_files(), *(ROOT / "tests").rglob("*.py"))
    }
    assert {path: count for path, count in lines.items() if count > LINES_IN_A_FILE} == {}


def test_no_two_public_classes_have_one_name() -> None:
    bearers: dict[str, list[str]] = defaultdict(list)
    for path in product_files():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bearers[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in bearers.items() if len(paths) > 1} == {}
