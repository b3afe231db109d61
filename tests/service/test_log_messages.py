"""docs/logs.md has every message from `info` on, with its level and logger, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tree import ROOT, nodes_of, source_files, tree_of

LEVELS = {
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}


def constant(tree: ast.Module, value: ast.expr) -> str | None:
    """A text, also by the name of a constant of its module."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == ast.unparse(value):
            return constant(tree, node.value)
    return None


def messages(path: Path) -> Iterator[tuple[str, str, str]]:
    """(level, logger, message) of each call in a file; `…` stands for what differs."""
    tree = tree_of(path)
    loggers = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value.args[0])
        for node in nodes_of(path)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if re.match(r"logging.getLogger\('", ast.unparse(node.value))
    }
    for node in nodes_of(path):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        logger, level = ast.unparse(node.func.value), LEVELS.get(node.func.attr)
        if level is None or not re.fullmatch(r"log|(self\.)?logger", logger):
            continue
        said = constant(tree, node.args[1] if ast.unparse(node.args[0]) == "'%s'" else node.args[0])
        if said is not None:
            shown = re.sub(r"%[-.\d]*[a-z]", "…", said)
            yield level, loggers.get(logger, "callstream.faust"), re.sub(r"…([-./@]{0,2}…)+", "…", shown)


def documented() -> list[tuple[str, str, str]]:
    page = (ROOT / "docs" / "logs.md").read_text()
    return re.findall(r"^\| (info|warning|error|critical) \| `(\S+)` \| (.+?) \| ", page, re.MULTILINE)


def test_the_page_has_every_message_and_no_other() -> None:
    logged = {
        one
        for path in source_files()
        if "simulator" not in path.parts
        for one in messages(path)
        if one[2] != "…"
    }
    assert {*documented()} ^ logged == set()


def test_no_message_is_there_twice() -> None:
    assert sorted(documented()) == sorted({*documented()})
