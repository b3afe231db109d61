"""Reading the fields of a body."""

from __future__ import annotations

from typing import Any

import pytest

from stream.sources.fields import whole_number


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("0", 0),
        ("3", 3),
        ("10", 10),
        ("007", 7),
        ("999999999", 999_999_999),
        (0, 0),
        (12, 12),
        (999_999_999, 999_999_999),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1.0", None),
        (" 2", None),
        ("2 ", None),
        ("2\n", None),
        ("٣", None),
        ("²", None),
        ("1_000", None),
        ("0x1", None),
        ("9999999999", None),
        ("9" * 20, None),
        (1_000_000_000, None),
        (-1, None),
        (1.0, None),
        (True, None),
        (None, None),
        (["1"], None),
    ],
    ids=repr,
)
def test_a_sequence_number_or_a_duration_is_one_to_nine_ascii_digits_or_a_whole_number_of_that_size(
    raw: Any, number: int | None
) -> None:
    assert whole_number(raw) == number
