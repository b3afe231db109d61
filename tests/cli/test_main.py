"""The command line starts quickly and knows where each command is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.cli.main import COMMANDS, main
from stream.cli.support.exit_codes import EXIT_CODES, INTERRUPTED


def test_help_lists_every_command_and_imports_none() -> None:
    program = (
        "import sys; from stream.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'faust', 'aiokafka', 'aiohttp', 'rich', 'stream.service'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(help_line in done.stdout for help_line in COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_in_the_table_is_there_under_its_name(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"], prog_name="callstream")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: callstream {name} ")


def test_help_and_readme_have_the_table_of_exit_codes() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f" {code} {meaning}" in shown
        assert f"| {code} | {meaning} |" in readme


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["dance"]).exit_code == 2


def test_what_no_command_catches_is_told_without_its_text() -> None:
    program = (
        "import sys; from stream.cli import main, topics\n"
        "def fail(): raise KeyError('+15005550006')\n"
        "topics.load = fail\n"
        "main.main(['topics'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("KeyError\n  at stream/cli/")
    assert "500555" not in done.stdout + done.stderr


def test_ctrl_c_ends_any_command_with_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stream.cli.topics.load", interrupted)
    shown = CliRunner().invoke(main, ["topics"])
    assert (shown.exit_code, shown.output) == (INTERRUPTED, "")


def test_an_output_that_cannot_be_written_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stream.cli", "verdicts"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    says = "standard output cannot be written: OSError: No space left on device (errno 28)"
    assert (done.returncode, done.stderr) == (1, f"Error: {says}\n")
