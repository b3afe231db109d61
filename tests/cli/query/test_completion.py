"""What a shell is given, and what it asks."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from stream.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell], prog_name="callstream")
    assert done.exit_code == 0
    assert f"_CALLSTREAM_COMPLETE={shell}_complete" in done.stdout


def test_a_shell_completes_commands_options_and_values() -> None:
    def completed(words: str) -> list[str]:
        env = {
            "_CALLSTREAM_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1 + words.endswith(" ")),
        }
        done = CliRunner().invoke(
            main, [], prog_name="callstream", env=env, complete_var="_CALLSTREAM_COMPLETE"
        )
        return [line.split(",")[1] for line in done.stdout.splitlines()]

    assert {"call", "calls"} <= set(completed("callstream cal"))
    assert "--fault" in completed("callstream calls --fa")
    assert completed("callstream calls --outcome no") == ["no_answer"]
