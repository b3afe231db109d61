"""Who a request is from: by its token, or from this machine where no token is configured."""

from __future__ import annotations

from typing import Any

import pytest

from stream.api.access.caller import LOCAL, Caller, Callers
from stream.api.problems import Refused
from stream.service.tables.api_tokens import ApiToken, digest_of

NO_TOKEN = Callers(())
TOKEN = Callers((ApiToken("a", frozenset({"read"}), frozenset({"AC1"}), digest_of("secret")),))


def request(client: tuple[str, int] | None = ("127.0.0.1", 5000), method: str = "GET", **headers: str) -> Any:
    raw = [(name.replace("_", "-").encode(), said.encode("latin-1")) for name, said in headers.items()]
    return {"type": "http", "method": method, "client": client, "headers": raw}


def reason(callers: Callers, scope: Any) -> str:
    with pytest.raises(Refused) as refused:
        callers.of_request(scope)
    assert refused.value.status == 401
    return refused.value.kind


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8087"),
        ("127.0.0.1", "localhost:8087"),
        ("127.8.9.1", "LOCALHOST"),
        ("::1", "[::1]:8087"),
        ("::1", "[::1]"),
        ("::ffff:127.0.0.1", "localhost."),
        ("127.0.0.1", "callstream.localhost:8087"),
    ],
)
def test_a_local_request_reads_all_where_no_token_is_configured(address: str, host: str) -> None:
    assert NO_TOKEN.of_request(request((address, 1), host=host)) == Caller(LOCAL, None, True)


@pytest.mark.parametrize(
    "scope",
    [
        request(("192.0.2.7", 1), host="localhost"),
        request(("::ffff:192.0.2.7", 1), host="localhost"),
        request(None, host="localhost"),
        request(("socket", 1), host="localhost"),
        # A proxy on this machine has forwarded it.
        request(host="localhost", x_forwarded_for="192.0.2.7"),
        request(host="localhost", forwarded="for=192.0.2.7"),
        request(host="localhost", via="1.1 proxy"),
        # A page of another origin, whose name was pointed here.
        request(host="rebound.example:8087"),
        request(host="localhost.example"),
        request(host=""),
        request(),
    ],
)
def test_no_other_request_is_local(scope: Any) -> None:
    assert reason(NO_TOKEN, scope) == "not_configured"


def test_a_local_request_needs_a_token_where_one_is_configured() -> None:
    assert reason(TOKEN, request(host="localhost")) == "missing"
    assert TOKEN.of_request(request(host="localhost", authorization="Bearer secret")).name == "a"


def test_a_cookie_is_asked_for_reading_only() -> None:
    cookie = "callstream_session=secret"
    assert TOKEN.of_request(request(cookie=cookie)).name == "a"
    assert TOKEN.of_request(request(cookie=cookie, method="HEAD")).name == "a"
    assert reason(TOKEN, request(cookie=cookie, method="POST")) == "missing"


def test_a_token_reads_the_records_of_its_accounts_only() -> None:
    of_one = Caller("a", frozenset({"AC1"}), False)
    assert [of_one.may_read(one) for one in ("AC1", "AC2", None)] == [True, False, False]
    of_all = Caller("a", None, False)
    assert [of_all.may_read(one) for one in ("AC1", None)] == [True, True]
