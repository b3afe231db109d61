"""How many requests a token may send."""

from __future__ import annotations

from stream.api.access.rate_limit import RequestLimit


def test_a_token_may_send_five_seconds_worth_at_once_and_then_as_its_rate_allows() -> None:
    limit = RequestLimit(10)
    assert [limit.wait_s("a", 0) for _ in range(50)] == [0.0] * 50
    assert limit.wait_s("a", 0) == 0.1
    assert limit.wait_s("b", 0) == 0.0
    assert limit.wait_s("a", 0.1) == 0.0
    assert limit.wait_s("a", 0.1) > 0


def test_a_refused_request_costs_nothing_and_silence_saves_no_more_than_the_burst() -> None:
    limit = RequestLimit(0.1)
    assert limit.wait_s("a", 0) == 0.0
    assert [round(limit.wait_s("a", 0), 6) for _ in range(3)] == [10.0] * 3
    assert limit.wait_s("a", 10) == 0.0
    assert limit.wait_s("a", 100_000) == 0.0
    assert limit.wait_s("a", 100_000) > 0
