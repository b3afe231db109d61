"""The broker's data directory: whole, or not there under its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream.broker.failure import BrokerError
from stream.broker.storage import cluster_id, format_storage, new_cluster_id


def format_with(java: Path, logs: Path) -> str:
    return format_storage(logs, java=java, class_path="", port=20_001, controller_port=20_002)


def test_data_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "meta.properties").write_text("version=1\ncluster.id=abc\nnode.id=1\n")
    assert format_with(Path("no-java"), tmp_path) == "abc"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").touch()
    with pytest.raises(BrokerError, match="not a broker's data"):
        format_with(Path("no-java"), tmp_path)


def test_a_java_that_fails_leaves_no_data_behind_and_its_words_are_told(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!{sys.executable}\nprint('no room in this heap'); raise SystemExit(3)\n")
    java.chmod(0o755)
    logs = tmp_path / "kafka"
    with pytest.raises(BrokerError, match=r"exit 3\):\nno room in this heap"):
        format_with(java, logs)
    assert cluster_id(logs) is None
    assert not logs.exists()


def test_a_java_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/no/loader/of/this/system\n")
    java.chmod(0o755)
    with pytest.raises(BrokerError, match=rf"^{java} cannot be run \(FileNotFoundError: .*CALLSTREAM_KAFKA"):
        format_with(java, tmp_path / "kafka")


def test_a_java_that_takes_too_long_to_format_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexec sleep 20\n")
    java.chmod(0o755)
    monkeypatch.setattr("stream.broker.storage.FORMAT_LIMIT_S", 0.2)
    with pytest.raises(BrokerError, match="did not format"):
        format_with(java, tmp_path / "kafka")


def test_a_cluster_id_never_looks_like_an_option() -> None:
    ids = {new_cluster_id() for _ in range(300)}
    assert len(ids) == 300
    assert all(len(text) == 22 and not text.startswith("-") for text in ids)
