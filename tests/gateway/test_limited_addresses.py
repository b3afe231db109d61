"""An address whose verifications fail is limited, and nobody else is."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import replace

import pytest

from stream.gateway.failed_verifications import BURST
from stream.gateway.receive.request import headers_of
from stream.gateway.receive.telnyx_signature import public_key
from tests.gateway import signing
from tests.gateway.running_gateway import CREDENTIALS, RunningGateway, running_gateway


def limited_at(gateway: RunningGateway, address: str) -> None:
    for _ in range(BURST + 10):
        gateway.failures.record_failure(address, time.monotonic(), 0.0)


BEHIND_A_PROXY = replace(CREDENTIALS, trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),))


async def test_an_address_whose_signatures_fail_is_told_to_come_again_later_and_nobody_else() -> None:
    attacker, other = (("X-Forwarded-For", f"203.0.113.{n}") for n in (66, 7))
    async with running_gateway(BEHIND_A_PROXY) as gateway:
        wrong = signing.twilio_form(token="another", headers=[attacker])
        answers = [await gateway.send(wrong) for _ in range(25)]
        assert [one.status for one in answers[:20]] == [403] * 20
        assert {one.status for one in answers[21:]} == {429}
        assert answers[-1].headers["Retry-After"] == "1"
        assert answers[-1].headers["Connection"] == "close"
        assert (await gateway.send(signing.twilio_form(headers=[other]))).status == 204
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="rate_limited")
        assert rejected >= 4


@pytest.mark.parametrize("provider", ["twilio", "telnyx"])
async def test_a_client_that_shares_the_provider_s_address_does_not_lock_it_out(provider: str) -> None:
    shared = ("X-Forwarded-For", "203.0.113.66")
    wrong = signing.twilio_form(token="another", headers=[shared])
    body = b'{"data":{"event_type":"call.answered","id":"e1","payload":{"call_leg_id":"l1"}}}'
    good = signing.twilio_form()
    if provider == "telnyx":
        good = signing.telnyx_post(body, timestamp=str(int(time.time())))
    good = replace(good, headers=headers_of((*good.headers.items(), shared)))
    async with running_gateway(
        replace(BEHIND_A_PROXY, telnyx_keys=(public_key(signing.public()),))
    ) as gateway:
        limited_at(gateway, "203.0.113.66")
        assert (await gateway.send(wrong)).status == 429
        assert (await gateway.send(good)).status == 204


@pytest.mark.parametrize(
    "parameters",
    [
        [*signing.STATUS, ("Body", "x" * 10_000)],
        [*signing.STATUS, *((f"p{n}", "") for n in range(100))],
    ],
    ids=["large", "many parameters"],
)
async def test_of_a_limited_address_nothing_is_verified_that_costs_much(
    parameters: signing.Parameters,
) -> None:
    shared = ("X-Forwarded-For", "203.0.113.66")
    async with running_gateway(BEHIND_A_PROXY) as gateway:
        sent = signing.twilio_form(parameters, headers=[shared])
        limited_at(gateway, "203.0.113.66")
        assert (await gateway.send(sent)).status == 429
    async with running_gateway(BEHIND_A_PROXY) as gateway:
        assert (await gateway.send(sent)).status == 204


async def test_of_a_limited_address_nothing_is_verified_that_many_keys_may_have_signed() -> None:
    shared = ("X-Forwarded-For", "203.0.113.66")
    tokens = {signing.ACCOUNT: ("1", "2", "3", "4", signing.TOKEN)}
    async with running_gateway(replace(BEHIND_A_PROXY, twilio_tokens=tokens)) as gateway:
        limited_at(gateway, "203.0.113.66")
        assert (await gateway.send(signing.twilio_form(headers=[shared]))).status == 429


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)])
async def test_a_proxy_that_does_not_tell_its_clients_apart_shuts_nobody_out(
    trusted: tuple[str, ...],
) -> None:
    credentials = replace(CREDENTIALS, trusted_proxies=tuple(map(ipaddress.ip_network, trusted)))
    # A kept connection would be paused after each refusal.
    wrong = signing.twilio_form(token="another", headers=[("Connection", "close")])
    async with running_gateway(credentials) as gateway:
        for _ in range(30):
            assert (await gateway.send(wrong)).status == 403
        assert (await gateway.send(signing.twilio_form())).status == 204


async def test_an_address_that_has_verified_is_never_limited() -> None:
    credentials = replace(CREDENTIALS, trusted_proxies=(ipaddress.ip_network("10.0.0.0/8"),))
    async with running_gateway(credentials) as gateway:
        assert (await gateway.send(signing.twilio_form())).status == 204
        wrong = signing.twilio_form(token="another", headers=[("Connection", "close")])
        for _ in range(30):
            assert (await gateway.send(wrong)).status == 403
        assert (await gateway.send(signing.twilio_form())).status == 204
