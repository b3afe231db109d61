"""The data directory is its owner's alone, and one that cannot be used is one sentence with the setting."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.service import data_dir
from stream.service.data_dir import DataDirError, check_owner, explain, open_owned, prepare, read


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_its_owner_alone_with_nothing_left_in_it(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "data")
    assert (mode(tmp_path / "a" / "data"), list((tmp_path / "a" / "data").iterdir())) == (0o700, [])


def test_one_that_others_could_look_into_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    prepare(tmp_path)
    assert mode(tmp_path) == 0o700


@pytest.mark.parametrize("below", ["", "data"])
def test_a_file_in_its_place_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError) as raised:
        prepare(tmp_path / "file" / below)
    assert "a file is in the place of a directory; correct it, or set CALLSTREAM_DATA_DIR" in str(
        raised.value
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "no space is left on its device"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "its file system is read-only"),
        (errno.EACCES, "this user may not write there"),
    ],
)
@pytest.mark.parametrize("failing", ["mkdir", "open", "write"])
def test_a_directory_that_takes_no_writes_is_told_by_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, number: int, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if failing == "mkdir":
        monkeypatch.setattr(Path, "mkdir", fail)
    else:
        monkeypatch.setattr(data_dir.os, failing, fail)
    with pytest.raises(DataDirError) as raised:
        prepare(tmp_path)
    monkeypatch.undo()
    assert str(raised.value) == (
        f"the data directory cannot be used: {tmp_path}: {reason}; correct it, or set CALLSTREAM_DATA_DIR "
        "to another directory"
    )
    assert list(tmp_path.iterdir()) == []


def test_one_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path.stat().st_uid or 4711
    monkeypatch.setattr(data_dir, "ROOT", -1)
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: owner + 1)
    with pytest.raises(DataDirError, match=r"it belongs to another user \(uid \d+\)"):
        check_owner(tmp_path)


def test_one_that_all_users_share_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(DataDirError, match="it is open to all users"):
        prepare(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_one_of_roots_is_used_as_kubernetes_mounts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a group of the process's own; its mode is root's business."""
    tmp_path.chmod(0o2775)
    monkeypatch.setattr(data_dir, "ROOT", tmp_path.stat().st_uid)
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    check_owner(tmp_path)
    assert mode(tmp_path) == 0o2775


def test_a_link_of_another_user_is_not_followed_to_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    check_owner(link)
    real = link.lstat()
    monkeypatch.setattr(data_dir, "ROOT", real.st_uid + 2)
    monkeypatch.setattr(
        Path, "lstat", lambda self: SimpleNamespace(st_uid=real.st_uid + 1, st_mode=real.st_mode)
    )
    with pytest.raises(DataDirError, match="another user"):
        check_owner(link)


def test_a_link_in_the_place_of_a_file_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"mine")
    link = tmp_path / "findings"
    link.symlink_to(secret)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        read(link)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)), open_owned(link, os.O_WRONLY | os.O_CREAT):
        pass
    assert (secret.read_bytes(), read(secret)) == (b"mine", b"mine")


def test_a_file_of_another_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(data_dir, "ROOT", -1)
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        read(file)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "IO error: No space left on device: While appending to file: /data/000012.log",
            "no space is left on its device",
        ),
        ("IO error: While mkdir if missing: /data/x: Read-only file system", "its file system is read-only"),
        ("java.io.IOException: No space left on device", "no space is left on its device"),
        ("IO error: While lock file: /data/LOCK: Resource temporarily unavailable", None),
        ("Corruption: block checksum mismatch", None),
    ],
)
def test_what_rocksdb_and_java_write_of_a_disk_is_understood(said: str, reason: str | None) -> None:
    assert explain(Exception(said)) == reason
    assert explain(said) == reason
