"""The identities of a call with very many events, kept apart from its state, in pages.

The first eight bits of an identity select its page, so a delivery reads and writes one or two pages of about
2 KB, however many events there are. Pages are in the table beside their call, under keys that no call can
have, and leave the table with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

PAGES = 256
_SHIFT = 56

_MARK = b"\xff"
"""A call's key never begins with it: keys are UTF-8 text."""


def page_key(call_key: str, page: int) -> bytes:
    return b"%b%c%b" % (_MARK, page, call_key.encode())


def is_page(key: bytes) -> bool:
    """Whether this entry of the table is a page, not a call."""
    return key.startswith(_MARK)


class Pages:
    """The pages that one batch uses, of all its calls. `get` reads the table as it was before the batch."""

    def __init__(self, get: Callable[[bytes], bytes | None]) -> None:
        self._get = get
        self._pages: dict[bytes, set[int]] = {}
        self._changed: set[bytes] = set()

    def has(self, call_key: str, fingerprint: int) -> bool:
        return fingerprint in self._page(page_key(call_key, fingerprint >> _SHIFT))

    def add(self, call_key: str, fingerprint: int) -> None:
        key = page_key(call_key, fingerprint >> _SHIFT)
        self._page(key).add(fingerprint)
        self._changed.add(key)

    def drop(self, call_key: str) -> None:
        """Remove all pages of a call that leaves the table."""
        for page in range(PAGES):
            key = page_key(call_key, page)
            if self._page(key):
                self._pages[key] = set()
                self._changed.add(key)

    def undo(self, call_key: str) -> None:
        """Restore the call's pages to what they were before the batch."""
        if self._pages:
            for page in range(PAGES):
                key = page_key(call_key, page)
                self._pages.pop(key, None)
                self._changed.discard(key)

    def changes(self) -> dict[bytes, bytes | None]:
        """The changed pages as stored: sorted, eight bytes an identity. None for an empty page."""
        pages = {key: sorted(self._pages[key]) for key in sorted(self._changed)}
        return {key: struct.pack(f">{len(page)}Q", *page) or None for key, page in pages.items()}

    def _page(self, key: bytes) -> set[int]:
        page = self._pages.get(key)
        if page is None:
            stored = self._get(key) or b""
            page = self._pages[key] = set(struct.unpack(f">{len(stored) // 8}Q", stored))
        return page
