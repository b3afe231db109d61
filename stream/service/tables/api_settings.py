"""What `callstream api` runs with, and the address of its page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stream.service import setting_kinds as kinds
from stream.service.setting_kinds import setting
from stream.service.tables.api_tokens import ApiToken, read_tokens

MOST_ORIGINS = 20
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")


def origins(value: str) -> tuple[str, ...]:
    found = kinds.words(value)
    if len(found) > MOST_ORIGINS or not all(map(_ORIGIN.fullmatch, found)):
        raise ValueError(f"must be at most {MOST_ORIGINS} of http(s)://host[:port], with commas")
    return found


@dataclass(frozen=True, kw_only=True)
class ApiFields:
    """The settings of the API, beside those of every role."""

    api_listen: str = setting("127.0.0.1:8087", "where the query API and the page are", kinds.listen)
    api_health_listen: str = setting(
        "127.0.0.1:8088", "where the API's `/metrics`, `/livez` and `/readyz` are", kinds.listen
    )
    api_token: str = setting(
        "",
        "a bearer token that reads all accounts, numbers masked; empty and no `CALLSTREAM_API_TOKENS`: only "
        "requests from this machine are answered. Commands send it to `CALLSTREAM_API_URL`",
        kinds.text,
        secret=True,
    )
    api_tokens: tuple[ApiToken, ...] = setting(
        (),
        "tokens with scopes and accounts, by hash, as `callstream api token` prints them: a line each, or "
        "with `;`; their file is read again when it changes",
        read_tokens,
        secret=True,
    )
    api_rate: float = setting(50.0, "requests a second that each token may send", kinds.number(0.1, 100_000))
    api_timeout_s: float = setting(
        15.0, "a request that is not answered in that time is refused", kinds.number(0.1, 300)
    )
    api_archive_timeout_s: float = setting(
        10.0, "the same for one read of the archive", kinds.number(0.1, 300)
    )
    api_threads: int = setting(
        8,
        "reads of the archive at once, each on a connection to the database of its own",
        kinds.whole(1, 200),
    )
    api_cors_origins: tuple[str, ...] = setting(
        (), "origins whose pages may call the API, with commas; empty: none", origins
    )
    api_live_subscribers: int = setting(
        100, "clients that may follow `/v1/live` at once", kinds.whole(1, 10_000)
    )


@dataclass(frozen=True, kw_only=True)
class ClientFields:
    """The setting of the commands that ask about calls. Their token is the API's own `api_token`."""

    api_url: str = setting(
        "",
        "of the query API that `call`, `calls`, `alerts` and `watch` ask; empty: they read the archive",
        kinds.page_url,
    )
