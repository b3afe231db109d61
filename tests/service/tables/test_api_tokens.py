"""The lines of tokens: what they allow, and that they never hold the token."""

from __future__ import annotations

import pytest

from stream.service.settings import SettingsError, load
from stream.service.tables.api_tokens import (
    ApiToken,
    digest_of,
    line_of,
    new_token,
    of_all_accounts,
    read_tokens,
)

HASH = digest_of("token")


def test_a_token_cannot_be_guessed_and_its_line_does_not_hold_it() -> None:
    token = new_token()
    assert token.startswith("cst_")
    assert len(token) > 40
    assert token != new_token()
    line = line_of("oncall", ["read:numbers", "read"], ["AC1", "AC2"], token)
    assert token not in line
    assert line == f"oncall read,read:numbers AC1,AC2 sha256:{digest_of(token)}"
    assert read_tokens(line) == (
        ApiToken("oncall", frozenset({"read", "read:numbers"}), frozenset({"AC1", "AC2"}), digest_of(token)),
    )


def test_lines_may_have_comments_and_stand_in_one_line() -> None:
    text = f"# of operations\n\n a read * sha256:{HASH} # until spring\nb read AC1 sha256:{digest_of('b')};"
    assert read_tokens(text) == read_tokens(f"a read * sha256:{HASH}; b read AC1 sha256:{digest_of('b')}")
    assert [(one.name, one.accounts) for one in read_tokens(text)] == [("a", None), ("b", frozenset({"AC1"}))]
    assert read_tokens("") == ()


@pytest.mark.parametrize(
    "line",
    [
        f"a read AC1 {HASH}",
        f"a read sha256:{HASH}",
        f"a write * sha256:{HASH}",
        f"a read:numbers * sha256:{HASH}",
        f"a read AC1,,AC2 sha256:{HASH}",
        f"a read * sha256:{HASH[:-1]}",
        f"../a read * sha256:{HASH}",
        f"a read * sha256:{HASH}; a read * sha256:{digest_of('b')}",
        f"a read * sha256:{HASH}; b read * sha256:{HASH}",
    ],
)
def test_a_line_that_is_not_clear_is_an_error_at_start_that_does_not_show_it(line: str) -> None:
    with pytest.raises(SettingsError, match="CALLSTREAM_API_TOKENS must ") as error:
        load({"CALLSTREAM_API_TOKENS": line})
    assert HASH[:20] not in str(error.value)


def test_a_line_that_could_not_be_read_again_is_not_made() -> None:
    with pytest.raises(ValueError, match="lines"):
        line_of("a b", ["read"], [], "token")


def test_a_token_of_all_accounts_reads_no_numbers() -> None:
    assert of_all_accounts("shortcut", "token") == ApiToken("shortcut", frozenset({"read"}), None, HASH)
