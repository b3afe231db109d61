"""The files of the product and what they import, read from their syntax, wherever in a file it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


def source_files() -> list[Path]:
    """Every file of the product."""
    return sorted(path for top in ("stream", "agents") for path in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def layer_of(module: str) -> str:
    """The folder of `stream/` that a module is in."""
    parts = module.split(".")
    return parts[0] if parts[0] != "stream" else ".".join(parts[:2])


def tree_of(path: Path) -> ast.Module:
    return _tree(path.read_text())


def nodes_of(path: Path) -> list[ast.AST]:
    """Every node of a file."""
    return _nodes(path.read_text())


@cache
def _tree(text: str) -> ast.Module:
    """Kept: a dozen tests read every file."""
    return ast.parse(text)


@cache
def _nodes(text: str) -> list[ast.AST]:
    return [*ast.walk(_tree(text))]


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports from."""
    for node in nodes_of(path):
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
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called_name(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
