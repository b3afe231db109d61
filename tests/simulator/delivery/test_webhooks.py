"""Where simulated callbacks may go. What is in them is seen on a real socket, in test_deliver."""

from __future__ import annotations

import pytest

from stream.simulator.delivery.webhooks import GatewayAddress, gateway_address


@pytest.mark.parametrize(
    "base",
    [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "https://LOCALHOST",
        "http://[::1]:80",
        "http://127.9.9.9",
    ],
)
def test_this_machine_may_be_called(base: str) -> None:
    assert gateway_address(base + "/") == GatewayAddress(base, base)


@pytest.mark.parametrize(
    "base",
    [
        "http://192.0.2.7:8080",
        "https://hooks.example.test",
        "http://0.0.0.0:8080",
        "http://localhost.example.test",
        "http://[2001:db8::1]/",
    ],
)
def test_no_other_machine_may_be_called(base: str) -> None:
    with pytest.raises(ValueError, match="is not this machine"):
        gateway_address(base)


@pytest.mark.parametrize(
    "base",
    [
        "",
        "127.0.0.1:8080",
        "ftp://127.0.0.1",
        "http://",
        "http://:8080",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1:port",
        "http://127.0.0.1/?a=1",
        "http://127.0.0.1/#rc=3",
    ],
)
def test_what_is_not_a_base_url_is_refused_without_showing_it(base: str) -> None:
    with pytest.raises(ValueError, match="the gateway's URL") as error:
        gateway_address(base)
    assert "secret" not in str(error.value)


def test_the_public_url_is_what_is_signed() -> None:
    assert gateway_address("http://127.0.0.1:8080", "https://hooks.example.test/in/") == GatewayAddress(
        "http://127.0.0.1:8080", "https://hooks.example.test/in"
    )
