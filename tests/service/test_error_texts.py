"""No error's text is put into a log, an answer or another error but through `stream.service.errors`.

Read from the files' syntax, as the architecture is: what an error says may quote what a provider said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

from tests.tree import ROOT, nodes_of, source_files

TEXTS_OF_TRACEBACKS = {
    *("print_exc", "format_exc", "print_exception", "format_exception", "format_exception_only"),
    *("TracebackException", "setLogRecordFactory"),
}
THE_PLACE = {"stream/service/errors.py", "stream/service/logs.py"}

KNOWN_TEXTS = {
    # What an operator wrote, told to that operator.
    "stream/service/settings.py": {"OSError", "ValueError"},
    "stream/core/alerting/rules.py": {"TOMLDecodeError", "ValidationError"},
    "stream/service/tables/toml_table.py": {"ValueError", "ValidationError"},
    "stream/api/access/token_files.py": {"ValueError"},
    "stream/gateway/receive/credentials.py": {"ValueError"},
    "stream/cli/simulate.py": {"ValueError"},
    "stream/cli/backfill.py": {"ValueError"},
    "stream/cli/records/dead_letters.py": {"ValueError"},
    "stream/cli/records/backtest.py": {"ValueError"},
    "stream/cli/query/filters.py": {"ValueError", "OverflowError"},
    "stream/cli/doctor.py": {"ValueError"},
    # The names of parameters that it takes.
    "stream/provider_api/twilio_api.py": {"ValueError"},
    # Why jars could not be fetched: no delivery comes near it.
    "stream/broker/jars.py": {"Exception"},
    # msgspec names a type and a field of ours, orjson what kind of JSON it is not.
    "stream/core/fetches.py": {"ValidationError"},
    "stream/core/forgetting.py": {"ValidationError"},
    "stream/poller/on_demand/fetch_codec.py": {"ValidationError"},
    "stream/kafka/envelope_codec.py": {"JSONDecodeError"},
}
"""Kinds of which a file knows that their text quotes no delivery."""


@cache
def ours() -> set[str]:
    """The names of our classes."""
    return {node.name for path in source_files() for node in nodes_of(path) if isinstance(node, ast.ClassDef)}


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of the kinds that a handler takes."""
    if handler.type is None:
        return {"BaseException"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {node.attr if isinstance(node, ast.Attribute) else ast.unparse(node) for node in kinds}


def texts_of(name: str, within: list[ast.stmt]) -> Iterator[ast.AST]:
    """Where an error of this name is made a text."""

    def is_it(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == name

    for statement in within:
        for node in ast.walk(statement):
            if isinstance(node, ast.FormattedValue) and is_it(node.value):
                yield node
            elif isinstance(node, ast.Call) and any(map(is_it, node.args)):
                function = node.func
                called = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
                if called in {"str", "repr", "format"} or (
                    isinstance(function, ast.Attribute) and ast.unparse(function.value) in {"log", "logger"}
                ):
                    yield node
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and is_it(node.right):
                yield node


def faults(path: str, nodes: Iterable[ast.AST]) -> list[str]:
    found = []
    for node in nodes:
        if isinstance(node, ast.ExceptHandler) and node.name is not None:
            if caught(node) - ours() - KNOWN_TEXTS.get(path, set()):
                found += [f"{path}:{one.lineno}" for one in texts_of(node.name, node.body)]  # type: ignore[attr-defined]
        elif path not in THE_PLACE and isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in TEXTS_OF_TRACEBACKS or name in {"excepthook", "unraisablehook"}:
                found.append(f"{path}:{node.lineno}")
    return found


def faults_in(text: str) -> list[str]:
    return faults("stream/sly.py", ast.walk(ast.parse(text)))


def test_an_error_that_is_not_ours_is_told_by_its_kind() -> None:
    found = [
        fault for path in source_files() for fault in faults(str(path.relative_to(ROOT)), nodes_of(path))
    ]
    assert found == [], "use stream.service.errors.describe"


@pytest.mark.parametrize(
    "body",
    [
        "log.error('%s', error)",
        "log.exception(error)",
        "f'{error!r}'",
        "f'{error}'",
        "str(error)",
        "'%s' % error",
        "'{}'.format(error)",
    ],
)
@pytest.mark.parametrize("kind", ["KafkaError", "Exception", "(SettingsError, OSError)", "errors.Other"])
def test_the_guard_sees_a_text_that_is_made_of_an_error(body: str, kind: str) -> None:
    assert faults_in(f"try: f()\nexcept {kind} as error:\n    {body}\n")


def test_the_guard_lets_our_own_errors_speak_and_kinds_be_said() -> None:
    fine = "try: f()\nexcept SettingsError as error: str(error)\n"
    also = "try: f()\nexcept OSError as error: log.error('%s %s', describe(error), type(error).__name__)\n"
    assert not faults_in(fine + also)
    assert faults_in("import traceback\ntraceback.print_exc()\n")
