"""From page to page: which link is followed, and when a read has gone far enough.

The rule of this file: links are the provider's and are opaque, but credentials go to one origin only, the one
that the first page was asked at, and every read ends. What is followed is put together from that origin and
the link's path and query, so that no two parsers can disagree on where it leads.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import SplitResult, urljoin, urlsplit

MAX_PAGES_OF_A_CALL = 200
MAX_PAGES_OF_A_WINDOW = 20_000
LONGEST_LINK = 8192
"""Characters of a URL that servers commonly take."""

MOST_REPEATS = 1
"""A page may repeat the rows of an earlier one, as twins do. Another one behind it, and they go round."""

_ORDINARY = re.compile(r"[!-\[\]-~]*\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class PagingError(Exception):
    """Why no further page is asked. Says nothing of the link itself: it may hold anything."""


def origin(url: str) -> Origin:
    """(scheme, host, port) of a URL, lower case. Raises ValueError where it has none, or has user info."""
    return _origin(urlsplit(url))


def _origin(parts: SplitResult) -> Origin:
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        raise ValueError("no URL of a web server, or one with user info")
    return scheme, host, parts.port if parts.port is not None else _DEFAULT_PORTS[scheme]


class VisitedPages:
    """The pages of one read, from `first_url` on."""

    def __init__(self, first_url: str, max_pages: int) -> None:
        self._origin = origin(first_url)
        self._max_pages = max_pages
        self._asked = {first_url}
        self._seen: set[bytes] = set()
        self._repeats = 0

    def saw(self, rows: list[bytes]) -> int:
        """How many pages up to this one, without a break, had the very same rows as an earlier one."""
        digest = hashlib.blake2b(b"\n".join(rows), digest_size=16).digest()
        self._repeats = self._repeats + 1 if rows and digest in self._seen else 0
        self._seen.add(digest)
        return self._repeats

    def next(self, page_url: str, link: str) -> str:
        """The URL that `link`, found on the page at `page_url`, leads to. Raises PagingError."""
        url = self._resolved(page_url, link)
        if url in self._asked:
            raise PagingError("the pages lead in a circle")
        if len(self._asked) >= self._max_pages:
            raise PagingError(f"there are more than {self._max_pages} pages")
        self._asked.add(url)
        return url

    def _resolved(self, page_url: str, link: str) -> str:
        if len(link) > LONGEST_LINK or _ORDINARY.match(link) is None:
            raise PagingError("the next page's link is no URL")
        try:
            parts = urlsplit(urljoin(page_url, link))
            leads_to = _origin(parts)
        except ValueError:
            raise PagingError("the next page's link is no URL of a web server, or has user info") from None
        if leads_to != self._origin:
            raise PagingError("the next page is on another host, which is not asked")
        here = urlsplit(page_url)
        return here._replace(path=parts.path or "/", query=parts.query, fragment="").geturl()
