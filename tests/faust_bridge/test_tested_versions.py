"""A version of Faust or aiokafka that was not tested is refused in a sentence, before it can do harm."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from stream.faust_bridge import upstream_internals
from stream.faust_bridge.tested_versions import SUPPORTED, TESTED, UntestedVersion, _changed, check

ROOT = Path(__file__).parents[2]


def nothing() -> Iterator[str]:
    yield from ()


def something() -> Iterator[str]:
    yield "aiokafka.consumer.fetcher:Fetcher.close"


def never() -> Iterator[str]:
    raise AssertionError("the places are not compared for a version that is known")
    yield


def test_the_tested_versions_start_without_a_look_inside() -> None:
    check(TESTED.__getitem__, never)


def test_what_is_installed_here_starts() -> None:
    check()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("aiokafka", "0.13.0"),
        ("aiokafka", "0.15.0"),
        ("aiokafka", "0.140.0"),
        ("aiokafka", "1.0.0"),
        ("faust-streaming", "0.15.4"),
        ("faust-streaming", "0.11.3"),
    ],
)
def test_a_version_outside_what_was_tested_is_refused_with_what_to_install(name: str, found: str) -> None:
    with pytest.raises(UntestedVersion) as raised:
        check({**TESTED, name: found}.__getitem__, nothing)
    said = str(raised.value)
    assert said == (
        f"{name} {found} is not supported: callstream was tested with {TESTED[name]}; "
        f"run pip install '{name}{SUPPORTED[name]}'"
    )


def test_a_later_patch_starts_where_nothing_that_is_pinned_has_changed() -> None:
    check({**TESTED, "aiokafka": "0.14.7"}.__getitem__, nothing)


def test_a_later_patch_that_changed_a_place_is_refused_by_the_place() -> None:
    with pytest.raises(UntestedVersion, match=r"^aiokafka 0\.14\.7 is not supported \(aiokafka\.consumer"):
        check({**TESTED, "aiokafka": "0.14.7"}.__getitem__, something)


def test_a_library_that_is_missing_is_said_too() -> None:
    def installed(name: str) -> str:
        raise PackageNotFoundError(name)

    with pytest.raises(UntestedVersion, match=r"^faust-streaming is not installed"):
        check(installed, nothing)


def test_a_place_that_changed_or_is_gone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = upstream_internals.PinnedInternal("aiokafka.consumer.fetcher:Fetcher.never_was", "", "0" * 12)
    changed = upstream_internals.RELIED_ON[0]._replace(digest="0" * 12)
    assert list(_changed()) == []
    monkeypatch.setattr(upstream_internals, "RELIED_ON", (gone, changed))
    assert list(_changed()) == [gone.place, changed.place]


def test_the_package_asks_for_what_was_tested() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    without_extras = {re.sub(r"\[.*\]", "", one) for one in wanted}
    assert {f"{name}{series}" for name, series in SUPPORTED.items()} <= without_extras
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    assert {f"{name}=={tested}" for name, tested in TESTED.items()} <= set(pinned)


def test_the_worker_refuses_before_it_imports_what_does_not_fit() -> None:
    program = (
        "import importlib.metadata, os, sys\n"
        "os.environ['CALLSTREAM_KAFKA'] = '127.0.0.1:9'\n"
        "importlib.metadata.version = lambda name: '0.16.0'\n"
        "from stream.cli.roles import worker\n"
        "assert not {'faust', 'stream.engine'} & set(sys.modules)\n"
        "worker([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: faust-streaming 0.16.0 is not supported: ")
    assert done.stderr.count("\n") == 1
