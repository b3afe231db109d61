"""Case 3 of the providers' habits, as far as it is a sign of trouble on the way."""

from __future__ import annotations

import pytest

from stream.gateway.delivery_tokens import DeliveryTokens


@pytest.mark.parametrize(
    ("before", "now", "reused"),
    [
        (("t1", b"CallSid=CA1"), ("t1", b"CallSid=CA1"), False),
        (("t1", b"CallSid=CA1"), ("t1", b"CallSid=CA2"), True),
        (("t1", b"CallSid=CA1"), ("t2", b"CallSid=CA2"), False),
        ((None, b"CallSid=CA1"), (None, b"CallSid=CA2"), False),
        (("", b"CallSid=CA1"), ("", b"CallSid=CA2"), False),
        (("\ud800", b"CallSid=CA1"), ("\ud800", b"CallSid=CA2"), True),
    ],
)
def test_a_token_is_reused_if_it_came_with_something_else(
    before: tuple[str | None, bytes], now: tuple[str | None, bytes], *, reused: bool
) -> None:
    tokens = DeliveryTokens()
    assert not tokens.is_reused(*before)
    assert tokens.is_reused(*now) is reused


def test_the_oldest_tokens_are_forgotten() -> None:
    tokens = DeliveryTokens(kept=3)
    for number in range(5):
        assert not tokens.is_reused(f"t{number}", b"one")
    assert [tokens.is_reused(f"t{number}", b"other") for number in (4, 3, 2)] == [True] * 3
    assert not tokens.is_reused("t0", b"other")
