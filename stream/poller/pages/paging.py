"""From page to page: which link is followed, and when a read must stop.

Invariants: a link is the provider's and opaque, but credentials go to one origin only, that of the first
page, and every read ends. The followed URL is built from that origin and the link's path and query, so no two
parsers can disagree on where it leads.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

MAX_LINK_CHARS = 8192
"""The length of a URL that servers commonly accept."""

MAX_REPEATED_PAGES = 1
"""One page may repeat the rows of an earlier one: identical rows exist. Two in a row are a loop."""

_URL_CHARACTERS = re.compile(r"[!-\[\]-~]*\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class PagingError(Exception):
    """Why the next page is not requested. The text does not repeat the link, which may hold anything."""


@lru_cache(maxsize=256)  # a read asks four times for that of its URL, and twice for those of its account
def origin(url: str) -> Origin:
    """(scheme, host, port) of a URL, in lower case. Raises ValueError if it has none, or has user info."""
    return _origin(urlsplit(url))


def _origin(parts: SplitResult) -> Origin:
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        raise ValueError("not a URL of a web server, or one with user info")
    return scheme, host, parts.port if parts.port is not None else _DEFAULT_PORTS[scheme]


class PageTrail:
    """The pages that one read has requested, from `first_url` on."""

    def __init__(self, first_url: str, max_pages: int) -> None:
        self._origin = origin(first_url)
        self._max_pages = max_pages
        self._requested = {first_url}
        self._digests: set[bytes] = set()
        self._repeated = 0

    def count_repeated(self, rows: list[bytes]) -> int:
        """Add a page; how many pages in a row, up to this one, had exactly the rows of an earlier page."""
        digest = hashlib.blake2b(b"\n".join(rows), digest_size=16).digest()
        self._repeated = self._repeated + 1 if rows and digest in self._digests else 0
        self._digests.add(digest)
        return self._repeated

    def follow(self, page_url: str, link: str) -> str:
        """The URL of `link`, which the page at `page_url` has. Raises PagingError."""
        url = self._resolve(page_url, link)
        if url in self._requested:
            raise PagingError("the pages form a loop")
        if len(self._requested) >= self._max_pages:
            raise PagingError(f"there are more than {self._max_pages} pages")
        self._requested.add(url)
        return url

    def _resolve(self, page_url: str, link: str) -> str:
        if len(link) > MAX_LINK_CHARS or _URL_CHARACTERS.match(link) is None:
            raise PagingError("the next page's link is not a URL")
        try:
            parts = urlsplit(urljoin(page_url, link))
            target = _origin(parts)
        except ValueError:
            raise PagingError("the next page's link is not a URL of a web server, or has user info") from None
        if target != self._origin:
            raise PagingError("the next page is on another host, which is not requested")
        here = urlsplit(page_url)
        return here._replace(path=parts.path or "/", query=parts.query, fragment="").geturl()
