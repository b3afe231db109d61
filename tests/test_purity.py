"""What the pure parts never touch, and through whom all text goes that a terminal or a log shows."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tree import ROOT, called_name, imports_of, layer_of, module_of, nodes_of, source_files

PURE = ("stream.core", "stream.timeline", "stream.sources", "stream.provider_api")

PURE_OF_THE_GATEWAY = {
    "request_capture",
    "credentials",
    "failed_verifications",
    "forwarded",
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
    "paging",
    "planning",
    "progress",
    "records",
    "resource",
}
"""What decides in the poller, beside its resources; who reads, waits and lands asks these."""

PURE_OF_NOTIFY = {
    "alert",
    "alertmanager",
    "firing",
    "grouping",
    "pagerduty",
    "slack",
    "webhook",
    "wording",
}
"""What is sent when, and how it looks at each sink; who reads and sends asks these."""

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


def is_pure(path: Path) -> bool:
    layer = layer_of(module_of(path))
    if layer == "stream.gateway":
        return (
            path.parent.name == "diagnose" and path.stem not in IMPURE_OF_THE_DIAGNOSIS
        ) or path.stem in PURE_OF_THE_GATEWAY
    if layer == "stream.poller":
        return path.parent.name == "resources" or path.stem in PURE_OF_THE_POLLER
    if layer == "stream.notify":
        return path.stem in PURE_OF_NOTIFY
    if path.parent == ROOT / "stream" / "simulator" / "rest":
        return path.stem not in IMPURE_OF_THE_SIMULATED_RESOURCES
    return layer in PURE


def test_what_is_pure_touches_no_clock_chance_environment_or_file() -> None:
    imported = {
        (module_of(path), name)
        for path in filter(is_pure, source_files())
        for name in imports_of(path)
        if name in IMPURE_MODULES or name.split(".")[0] in IMPURE_MODULES
    }
    called = {
        (module_of(path), name)
        for path in filter(is_pure, source_files())
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and (name := called_name(node)) in IMPURE_CALLS
    }
    assert imported | called == set()


def test_what_is_pure_in_the_poller_asks_nobody_there_who_is_not() -> None:
    asked = {
        (module_of(path), name)
        for path in filter(is_pure, source_files())
        if layer_of(module_of(path)) == "stream.poller"
        for name in imports_of(path)
        if name.startswith("stream.poller.")
        and (file := ROOT.joinpath(*name.split(".")).with_suffix(".py")).exists()
        and not is_pure(file)
    }
    assert asked == set()


def test_what_is_called_pure_is_there() -> None:
    found = {(layer_of(module_of(path)), path.stem) for path in source_files()}
    named = {("stream.gateway", stem) for stem in PURE_OF_THE_GATEWAY}
    named |= {("stream.poller", stem) for stem in PURE_OF_THE_POLLER}
    named |= {("stream.notify", stem) for stem in PURE_OF_NOTIFY}
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


def test_nothing_but_the_writers_writes_to_a_terminal_or_a_log() -> None:
    writes = {
        (module_of(path), name, node.lineno)
        for path in source_files()
        if module_of(path) not in WRITERS | WRITES_TO_ITS_PARENT
        for node in nodes_of(path)
        if isinstance(node, ast.Call)
        and (name := called_name(node)) in WRITING_CALLS
        and (name not in ("write", "writelines") or "std" in ast.unparse(node.func))
        and not ast.unparse(node.func).endswith("console.print")  # always a PlainConsole
    }
    assert writes == set()
