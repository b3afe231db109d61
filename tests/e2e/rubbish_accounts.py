"""The accounts of a provider that answers rubbish: one for each kind of rubbish, with planted secrets."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from stream.core.fetches import FetchRequest
from stream.poller.pages.paged_read import WINDOW_LIMITS
from tests.e2e.poller import fetch_request, polled_envelopes, run_in_thread
from tests.e2e.rubbish import Rubbish, call_id
from tests.poller.fake_provider import FakeProvider, fake_provider
from tests.real_broker import RealBroker

INTERVAL_S = "5"


class Kind(NamedTuple):
    """A kind of rubbish, and its expected effects.

    - `outcome`: of a fetch; `reason`: of the dead letter of its page, None without one.
    - `window`: how the log line of the failed window starts, None if its rows are read.
    - `answered`: the outcome that `poll_requests_total` counts.
    """

    name: str
    outcome: str
    reason: str | None
    window: str | None
    answered: str
    provider: str = "twilio"

    @property
    def alias(self) -> str:
        return f"{self.provider}-{self.name}"

    @property
    def account(self) -> str:
        return f"AC{self.alias}"

    @property
    def source(self) -> str:
        return f"{self.provider}_call_event"

    @property
    def window_source(self) -> str:
        return "twilio_call" if self.provider == "twilio" else "telnyx_call_event"


KINDS = [
    Kind("circle", "rubbish", "invalid_field", "rubbish (the pages form a loop)", "success"),
    Kind("repeating", "rubbish", "invalid_field", "rubbish (the pages repeat the same rows)", "success"),
    Kind(
        "endless",
        "rubbish",
        "invalid_field",
        f"rubbish (there are more than {WINDOW_LIMITS.max_pages} pages)",
        "success",
    ),
    Kind(
        *("elsewhere_next", "rubbish", "invalid_field"),
        *("rubbish (the next page is on another host, which is not requested)", "success"),
    ),
    Kind("html", "rubbish", "not_json", "rubbish (", "rubbish"),
    Kind("truncated", "rubbish", "not_json", "rubbish (", "rubbish"),
    Kind("huge", "success", "too_large", None, "success"),
    Kind("bomb", "rubbish", "too_large", "rubbish (more than ", "rubbish"),
    Kind("redirect", "client_error", None, "client_error (answered 302", "client_error"),
    Kind("refused", "auth_error", None, "auth_error (answered 401", "auth_error"),
    Kind("failing", "server_error", None, "server_error (answered 500", "server_error"),
    Kind("garbage", "network_error", None, "network_error (", "network_error"),
    Kind("slow", "network_error", None, None, "network_error"),
    Kind("slow_window", "success", None, "network_error (no whole response within", "success"),
    Kind("repeating", "rubbish", "invalid_field", "rubbish (the pages repeat", "success", "telnyx"),
    Kind("html", "rubbish", "not_json", "rubbish (", "rubbish", "telnyx"),
    Kind("redirect", "client_error", None, "client_error (answered 302", "client_error", "telnyx"),
    Kind("refused", "auth_error", None, "auth_error (answered 401", "auth_error", "telnyx"),
    Kind("failing", "server_error", None, "server_error (answered 500", "server_error", "telnyx"),
    Kind("garbage", "network_error", None, "network_error (", "network_error", "telnyx"),
]


class PlantedSecrets:
    """Random secrets, and the forms in which they could leak."""

    def __init__(self) -> None:
        self.needles: set[bytes] = set()
        self.headers: set[str] = set()

    def token(self, user: str = "") -> str:
        """A new secret; with `user` of HTTP Basic."""
        secret = secrets.token_urlsafe(40)
        pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
        self.headers.add(f"Basic {pair}" if user else f"Bearer {secret}")
        self.needles |= {secret.encode(), pair.rstrip("=").encode(), base64.b64encode(secret.encode())}
        return secret

    def unused(self) -> str:
        """A secret that is configured but never sent."""
        secret = secrets.token_urlsafe(40)
        self.needles.add(secret.encode())
        return secret

    def count_in(self, *texts: bytes | None) -> int:
        return sum(needle in text for text in texts if text for needle in self.needles)


def table(kind: Kind, url: str, planted: PlantedSecrets) -> dict[str, Any]:
    """The account's table. Twilio accounts use a token or, every other one, an API key."""
    said: dict[str, Any] = {"provider": kind.provider, "id": kind.account, "alias": kind.alias}
    if kind.provider == "telnyx":
        return {**said, "secret": planted.token(), "api_url": f"{url}/{kind.name}/v2"}
    user = f"SK{kind.alias}" if len(kind.name) % 2 else kind.account
    return {**said, "user": user, "secret": planted.token(user), "api_url": f"{url}/{kind.name}"}


def by_settings(url: str, planted: PlantedSecrets) -> dict[str, str]:
    """The accounts that are configured without tables."""
    return {
        "CALLSTREAM_TWILIO_ACCOUNT_SID": "ACplain",
        "CALLSTREAM_TWILIO_AUTH_TOKEN": planted.unused(),
        "CALLSTREAM_TWILIO_API_KEY": "SKplain",
        "CALLSTREAM_TWILIO_API_SECRET": planted.token("SKplain"),
        "CALLSTREAM_TWILIO_API_URL": f"{url}/plain",
        "CALLSTREAM_TELNYX_API_KEY": planted.token(),
        "CALLSTREAM_TELNYX_API_URL": f"{url}/plain/v2",
        "CALLSTREAM_POLL_INTERVAL_S": INTERVAL_S,
        "CALLSTREAM_POLL_RATE": "400",
        "CALLSTREAM_POLL_CONCURRENCY": "6",
    }


@contextmanager
def rubbish_provider() -> Iterator[tuple[FakeProvider, Rubbish, FakeProvider]]:
    """(provider, its answers, another server to which its links and redirects lead)"""
    with run_in_thread(fake_provider()) as elsewhere, run_in_thread(fake_provider()) as provider:
        rubbish = Rubbish(elsewhere.url)
        provider.otherwise = rubbish
        yield provider, rubbish, elsewhere


def fetch(kind: Kind, number: int) -> FetchRequest:
    key = f"{kind.provider}:{call_id(kind.provider, number)}"
    return fetch_request(key, kind.account, source=kind.source)


def requests_of(first: int, kinds: Sequence[Kind] = KINDS) -> dict[str, FetchRequest]:
    """A request for each kind, by alias."""
    return {kind.alias: fetch(kind, first + number) for number, kind in enumerate(kinds)}


def outcomes(results: Mapping[str, Any], asked: Mapping[str, FetchRequest]) -> dict[str, str]:
    return {alias: results[one.id]["reads"][0]["outcome"] for alias, one in asked.items()}


def results_of(broker: RealBroker, prefix: str) -> dict[str, dict[str, Any]]:
    """The result of each fetch, by the fetch's id. There is only one."""
    found = {}
    for envelopes in polled_envelopes(broker, prefix).values():
        for envelope in envelopes:
            if envelope["source"] == "fetch_result":
                assert envelope["body"]["fetch_id"] not in found
                found[envelope["body"]["fetch_id"]] = envelope["body"]
    return found
