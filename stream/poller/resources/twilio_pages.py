"""How Twilio pages its lists, in both of its styles.

- `2010-04-01`: the rows under the resource's name, `next_page_uri` relative to the base URL.
- Voice Insights: the rows under the name in `meta.key`, `meta.next_page_url` absolute.

The rule of this file: links are opaque; null, missing or empty is the end. Other members never matter.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from stream.core.timestamps import SECOND_US, utc
from stream.poller.resources import rows
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page

KEPT_S = 30 * 86_400.0
"""Twilio keeps a call's request log and Voice Insights for 30 days."""

VERSION = "/2010-04-01/"

PAGE_SIZE = 1000
"""The most that Twilio gives at once."""


def account_url(account: Account) -> str:
    """Where an account's resources are; its id is in the path, whatever the credentials are."""
    return f"{account.api_url}{VERSION}Accounts/{quote(account.id, safe='')}"


def list_page(body: bytes, key: str, url: str) -> Page:
    """A page of a `2010-04-01` list that was asked at `url`. Raises PageError."""
    return list_of(rows.members(body), key, url)


def list_of(members: dict[str, bytes], key: str, url: str) -> Page:
    link = rows.link(rows.value(members, "next_page_uri"))
    return Page(rows.elements(members, key), link and _below_base(link, url))


def _below_base(link: str, url: str) -> str:
    """The link begins at the API's root, which a proxy may have put below a path of its own."""
    base, version, _ = urlsplit(url).path.partition(VERSION)
    return base + link if version and link.startswith(VERSION) else link


def insights_page(body: bytes) -> Page:
    """A page of a Voice Insights list. Raises PageError."""
    members = rows.members(body)
    meta = rows.value(members, "meta")
    meta = meta if type(meta) is dict else {}
    key = meta.get("key")
    found = rows.elements(members, key if type(key) is str and key else "events")
    return Page(found, rows.link(meta.get("next_page_url")))


def whole_second(us: int, *, up: bool = False) -> str:
    """A time as Twilio's filters take it, `YYYY-MM-DDTHH:MM:SSZ`: down, or up, to the second."""
    return utc((us + SECOND_US - 1 if up else us) // SECOND_US * SECOND_US)[:19] + "Z"
