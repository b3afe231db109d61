"""`callstream topics` where no Kafka answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.cli.main import main


def run(*arguments: str, **settings: str) -> tuple[int, str, str, float]:
    """(exit code, stdout, stderr, seconds) of the command as a process: the Kafka client logs there."""
    bare = {name: said for name, said in os.environ.items() if not name.startswith("CALLSTREAM_")}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "topics", *arguments],
        env=bare | {f"CALLSTREAM_{name.upper()}": said for name, said in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


def test_without_a_broker_it_is_one_line_within_the_wait() -> None:
    code, out, err, took_s = run("--wait", "1", kafka="127.0.0.1:1")
    why = "nobody listens at 127.0.0.1:1 (ConnectionRefusedError: Connection refused (errno 111))"
    mend = "start the broker, or check CALLSTREAM_KAFKA and the firewall"
    said = f"the cluster at 127.0.0.1:1 was not ready within 1 s ({why}: {mend})"
    assert (code, out, err) == (4, "", f"Error: {said}\n")
    assert took_s < 15
    code, out, err, _ = run("--wait", "1", "--json", kafka="127.0.0.1:1")
    assert (code, json.loads(out), err) == (4, {"error": said}, "")


def test_a_silent_broker_is_waited_for_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        code, out, err, took_s = run("--wait", "1", kafka=at)
    assert (code, out) == (4, "")
    why = f"{at} accepts connections and does not answer within 1 s"
    assert err.startswith(f"Error: the cluster at {at} was not ready within 1 s ({why}: ")
    assert took_s < 15


@pytest.mark.parametrize("wait", ["0", "-1", "nan", "inf", "soon"])
def test_a_wait_is_a_number_of_seconds(wait: str) -> None:
    done = CliRunner().invoke(main, ["topics", "--wait", wait], env={"CALLSTREAM_KAFKA": "127.0.0.1:1"})
    assert done.exit_code == 2
    assert "--wait" in done.stderr


def test_without_a_cluster_and_a_running_broker_it_starts_none(tmp_path: Path) -> None:
    code, out, err, _ = run(data_dir=str(tmp_path))
    said = "no broker runs here: set CALLSTREAM_KAFKA, or start `callstream up`"
    assert (code, out, err) == (4, "", f"Error: {said}\n")
    assert not [*tmp_path.iterdir()]
