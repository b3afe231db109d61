"""`callstream api token` makes a token that the settings accept, and shows it once."""

from __future__ import annotations

from click.testing import CliRunner

from stream.cli.main import main
from stream.service.settings import load
from stream.service.tables.api_tokens import digest_of


def test_the_line_of_a_new_token_is_one_of_the_setting() -> None:
    arguments = ["api", "token", "oncall", "--scope", "read:numbers", "--account", "AC1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    said, line = done.stdout.splitlines()
    token = said.removeprefix("token: ")
    assert token not in line
    (found,) = load({"CALLSTREAM_API_TOKENS": line}).api_tokens
    assert found.digest == digest_of(token)
    assert (found.name, found.scopes, found.accounts) == (
        "oncall",
        frozenset({"read", "read:numbers"}),
        frozenset({"AC1"}),
    )


def test_a_name_that_would_break_the_line_is_refused() -> None:
    done = CliRunner().invoke(main, ["api", "token", "on call"])
    assert done.exit_code == 2
    assert "letters, digits" in done.output
