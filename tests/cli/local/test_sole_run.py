"""A second `callstream up` in a data directory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.cli.local.sole_run import addresses_of_run, sole_run
from stream.cli.support.terminal import Fault
from stream.cli.up import command


def test_a_second_run_in_a_data_directory_says_so_and_stops(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with sole_run(directory):
        result = CliRunner().invoke(command, ["--plain"], env={"CALLSTREAM_DATA_DIR": str(directory)})
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: `callstream up` runs in the data directory {directory} already (process {os.getpid()}): "
        "stop it, or set CALLSTREAM_DATA_DIR to another directory\n"
    )
    with sole_run(directory), sole_run(tmp_path / "another"):
        pass


def test_the_lock_ends_with_its_process_and_a_child_does_not_keep_it(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys; from pathlib import Path\n"
        "from stream.cli.local.sole_run import sole_run\n"
        "with sole_run(Path(sys.argv[1])):\n"
        "    nowhere = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
        "    child = subprocess.Popen(['sleep', '30'], **nowhere, close_fds=False)\n"
        "    print(child.pid, flush=True)\n"
        "    os._exit(9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 9, done.stderr
    try:
        with sole_run(tmp_path):
            pass
    finally:
        os.kill(int(done.stdout), 9)


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "up.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="symbolic link") as raised, sole_run(tmp_path):
        pass
    assert not isinstance(raised.value, Fault)
    assert not (tmp_path / "elsewhere").exists()


def test_what_fails_during_a_run_is_not_laid_to_its_lock(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), sole_run(tmp_path):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_run_tells_where_its_roles_are_until_it_ends(tmp_path: Path) -> None:
    assert addresses_of_run(tmp_path) is None
    with sole_run(tmp_path) as tell:
        assert addresses_of_run(tmp_path) is None
        tell({"worker": "127.0.0.1:9081"})
        assert addresses_of_run(tmp_path) == {"worker": "127.0.0.1:9081"}
        result = CliRunner().invoke(command, ["--plain"], env={"CALLSTREAM_DATA_DIR": str(tmp_path)})
        assert f"(process {os.getpid()})" in result.stderr
    assert addresses_of_run(tmp_path) is None


@pytest.mark.parametrize("left", ["", "x", "4194305\n{}", "PID\n[", "PID\n{"])
def test_what_a_killed_run_has_left_is_not_believed(left: str, tmp_path: Path) -> None:
    (tmp_path / "up.lock").write_text(left.replace("PID", str(os.getpid())))
    assert addresses_of_run(tmp_path) is None
