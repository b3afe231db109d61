"""Where the embedded broker's data cannot be kept, that is one sentence; and nothing of it is for others."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.broker import Broker, BrokerError, start
from stream.broker.java import environment
from stream.broker.lifetime import embedded
from stream.broker.ownership import read_record, try_lock
from stream.broker.storage import format_storage
from stream.service.settings import Settings

MEND = (
    "; correct it, or set CALLSTREAM_DATA_DIR to another directory, "
    "or set CALLSTREAM_KAFKA to a cluster that is there already"
)


def begin(directory: Path) -> Broker:
    return start(directory, cache=directory / "none", libs="")


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("below", ["", "broker"])
def test_a_file_in_the_place_of_the_directory_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / below
    with pytest.raises(BrokerError) as raised:
        begin(directory)
    assert str(raised.value) == (
        f"the data directory cannot be used: {directory}: a file is in the place of a directory{MEND}"
    )


async def test_a_full_disk_is_told_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.service.data_dir.os.write", failing(errno.ENOSPC))
    with pytest.raises(BrokerError, match="no space is left on its device"):
        async with embedded(Settings(data_dir=tmp_path)):
            pass
    monkeypatch.undo()


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.broker.lifetime.ownership.try_lock", failing(errno.EROFS))
    with pytest.raises(BrokerError, match="its file system is read-only"):
        begin(tmp_path)


def test_a_java_that_finds_the_disk_full_is_told_in_one_sentence(tmp_path: Path) -> None:
    java = tmp_path / "java"
    words = "java.io.IOException: No space left on device\\n\\tat java.base/sun.nio"
    java.write_text(f"#!{sys.executable}\nprint('{words}'); raise SystemExit(1)\n")
    java.chmod(0o755)
    with pytest.raises(BrokerError) as raised:
        format_storage(tmp_path / "kafka", java=java, class_path="", port=20_001, controller_port=20_002)
    assert str(raised.value) == (
        f"the data directory cannot be used: {tmp_path}: no space is left on its device{MEND}"
    )


def test_a_broker_that_ended_in_mid_run_tells_of_a_full_disk_and_else_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    broker = Broker("127.0.0.1:1", log=log)
    log.write_text("INFO all is well\n")
    assert broker.why_ended() == (f"the embedded broker has ended unexpectedly; its log is {log}", False)
    log.write_text(
        "ERROR Error while appending\njava.io.IOException: No space left on device\n" + 40 * "\tat x\n"
    )
    assert broker.why_ended() == (
        f"the embedded broker has ended: the data directory cannot be used: {tmp_path}: "
        "no space is left on its device; correct it, or set CALLSTREAM_DATA_DIR to another directory",
        True,
    )


def test_a_full_disk_is_found_full_where_java_could_write_no_word_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "broker.log"
    log.touch()
    monkeypatch.setattr("stream.service.data_dir.os.write", failing(errno.ENOSPC))
    sentence, of_the_disk = Broker("127.0.0.1:1", log=log).why_ended()
    monkeypatch.undo()
    assert (of_the_disk, "no space is left on its device" in sentence) == (True, True)


def test_java_and_its_supervisor_get_one_locale_no_setting_and_no_secret() -> None:
    given = {
        "PATH": "/bin",
        "LANG": "de_DE.UTF-8",
        "LC_MESSAGES": "de_DE.UTF-8",
        "JAVA_HOME": "/java",
        "CALLSTREAM_TWILIO_AUTH_TOKEN": "secret",
        "CALLSTREAM_KAFKA_SASL_PASSWORD": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "PGPASSWORD": "secret",
    }
    assert environment(given) == {"PATH": "/bin", "LC_ALL": "C.UTF-8", "JAVA_HOME": "/java"}


def test_the_lock_and_the_note_are_not_looked_for_behind_links(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"pid": 1, "supervisor_pid": 1, "port": 1, "cluster_id": "x"}')
    directory = tmp_path / "broker"
    directory.mkdir()
    (directory / "running.json").symlink_to(elsewhere)
    (directory / "lock").symlink_to(elsewhere)
    assert read_record(directory) is None
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        try_lock(directory)


def test_the_lock_is_for_its_owner_alone(tmp_path: Path) -> None:
    descriptor = try_lock(tmp_path)
    assert descriptor is not None
    os.close(descriptor)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
