"""The identities of a call that has had very many events, apart from its state and by page.

The rule of this file: an identity is in the page that its first eight bits name, so a delivery reads and
writes one or two pages of about 2 KB, however many events there were. A page lies in the table beside its
call, under a key that no call can have, and leaves the table with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

PAGES = 256
_SHIFT = 56

_MARK = b"\xff"
"""No key of a call begins with it: they are UTF-8 text."""


def page_key(call_key: str, page: int) -> bytes:
    """The key of a page in the table."""
    return b"%b%c%b" % (_MARK, page, call_key.encode())


def is_page(key: bytes) -> bool:
    """Is this entry of the table a page, and not a call?"""
    return key.startswith(_MARK)


class Pages:
    """The pages that one batch touches, over all its calls. `get` shows an entry of the table before it."""

    def __init__(self, get: Callable[[bytes], bytes | None]) -> None:
        self._get = get
        self._pages: dict[bytes, set[int]] = {}
        self._changed: set[bytes] = set()

    def has(self, call_key: str, fingerprint: int) -> bool:
        """Is this identity known?"""
        return fingerprint in self._page(page_key(call_key, fingerprint >> _SHIFT))

    def add(self, call_key: str, fingerprint: int) -> None:
        """Remember an identity."""
        key = page_key(call_key, fingerprint >> _SHIFT)
        self._page(key).add(fingerprint)
        self._changed.add(key)

    def drop(self, call_key: str) -> None:
        """The call leaves the table: all its pages do."""
        for page in range(PAGES):
            key = page_key(call_key, page)
            if self._page(key):
                self._pages[key] = set()
                self._changed.add(key)

    def undo(self, call_key: str) -> None:
        """The call's pages are again as they were before the batch."""
        if self._pages:
            for page in range(PAGES):
                key = page_key(call_key, page)
                self._pages.pop(key, None)
                self._changed.discard(key)

    def changes(self) -> dict[bytes, bytes | None]:
        """The changed pages as the table keeps them: sorted, eight bytes an identity. None for one that is
        empty.
        """
        return {key: _dump(self._pages[key]) for key in sorted(self._changed)}

    def _page(self, key: bytes) -> set[int]:
        page = self._pages.get(key)
        if page is None:
            stored = self._get(key) or b""
            page = self._pages[key] = set(struct.unpack(f">{len(stored) // 8}Q", stored))
        return page


def _dump(page: set[int]) -> bytes | None:
    return struct.pack(f">{len(page)}Q", *sorted(page)) if page else None
