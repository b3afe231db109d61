"""Failed verifications: how often an address may try, by a clock that the test moves."""

from __future__ import annotations

import pytest

from stream.gateway.failed_verifications import ADDRESSES, BURST, LATELY_S, FailedVerifications, network

NOW_S = 1000.0
ADDRESS = "203.0.113.9"


def failing(
    failures: FailedVerifications, address: str, count: int, now_s: float = NOW_S, took_s: float = 0.0
) -> None:
    for _ in range(count):
        failures.record_failure(address, now_s, took_s)


def test_an_address_may_fail_a_few_times_and_then_once_a_second() -> None:
    failures = FailedVerifications()
    failing(failures, ADDRESS, BURST - 1)
    assert failures.wait_s(ADDRESS, NOW_S) == 0
    failing(failures, ADDRESS, 1)
    assert failures.wait_s(ADDRESS, NOW_S) == 1
    assert failures.wait_s(ADDRESS, NOW_S + 1) == 0
    failing(failures, ADDRESS, 1, NOW_S + 1)
    assert failures.wait_s(ADDRESS, NOW_S + 1.5) == 1
    assert failures.wait_s("203.0.113.10", NOW_S) == 0


def test_what_an_address_has_done_is_forgiven_within_a_minute_and_a_half_whatever_it_was() -> None:
    failures = FailedVerifications()
    failing(failures, ADDRESS, 100_000)
    assert failures.wait_s(ADDRESS, NOW_S) == 60
    assert failures.wait_s(ADDRESS, NOW_S + 90) == 0


def test_an_address_that_verified_lately_is_never_limited() -> None:
    failures = FailedVerifications()
    failing(failures, ADDRESS, 100, took_s=1.0)
    failures.record_success(ADDRESS, NOW_S)
    assert failures.wait_s(ADDRESS, NOW_S) == 0
    failing(failures, ADDRESS, 100, NOW_S + LATELY_S - 1)
    assert failures.wait_s(ADDRESS, NOW_S + LATELY_S - 1) == 0
    assert failures.wait_s(ADDRESS, NOW_S + LATELY_S) > 0


def test_what_failures_of_all_addresses_cost_is_a_quarter_of_the_time_at_most() -> None:
    failures = FailedVerifications()
    for number in range(100):
        failures.record_failure(f"198.51.100.{number}", NOW_S, 0.012)
    assert failures.wait_s(ADDRESS, NOW_S) == 1
    assert failures.wait_s(ADDRESS, NOW_S + 1) == 0


def test_cheap_failures_of_many_addresses_limit_nobody_else() -> None:
    failures = FailedVerifications()
    for number in range(2000):
        failures.record_failure(f"198.51.{number // 200}.{number % 200}", NOW_S + number / 1000, 0.0002)
    assert failures.wait_s(ADDRESS, NOW_S + 2) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.9", "203.0.113.8", False),
        (":no address", ":no address", True),
    ],
)
def test_addresses_of_one_ipv6_network_are_one(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
    failures = FailedVerifications()
    failing(failures, one, BURST)
    assert (failures.wait_s(other, NOW_S) > 0) is same


def test_those_whose_address_nobody_knows_do_not_shut_each_other_out() -> None:
    failures = FailedVerifications()
    failing(failures, "", 10_000, took_s=0.00001)
    assert failures.wait_s("", NOW_S) == 0
    failing(failures, "", 10, took_s=1.0)
    assert failures.wait_s("", NOW_S) > 0
    failures.record_success("", NOW_S)
    assert failures.wait_s("", NOW_S) == 0


def test_of_more_addresses_than_are_kept_those_not_seen_for_longest_are_forgotten() -> None:
    failures = FailedVerifications()
    failing(failures, ADDRESS, BURST)
    failures.record_success("2001:db8::1", NOW_S)
    for number in range(ADDRESSES - 1):
        failures.record_failure(f"10.{number >> 8}.{number & 255}.1", NOW_S, 0.0)
    assert failures.wait_s(ADDRESS, NOW_S) > 0
    failures.record_failure("10.255.255.2", NOW_S, 0.0)
    assert failures.wait_s(ADDRESS, NOW_S) == 0
    assert failures.wait_s("2001:db8::9", NOW_S) == 0


def test_an_address_that_was_seen_again_is_not_among_the_first_forgotten() -> None:
    failures = FailedVerifications()
    failing(failures, ADDRESS, BURST)
    failures.record_success("198.51.100.1", NOW_S)
    for number in range(ADDRESSES + 10):
        one = f"10.{number >> 8}.{number & 255}.1"
        failures.record_failure(one, NOW_S, 0.0)
        failures.record_success(f"2001:db8:{number:x}::1", NOW_S)
        if number == 10:
            failures.record_failure(ADDRESS, NOW_S, 0.0)
            failures.record_success("198.51.100.1", NOW_S)
        if number == ADDRESSES:
            assert failures.wait_s(ADDRESS, NOW_S) > 0
            assert failures.has_verified("198.51.100.1", NOW_S)
            assert not failures.has_verified("2001:db8:1::1", NOW_S)
