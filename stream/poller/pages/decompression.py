"""A compressed answer unpacked bit by bit, and never further than it may grow.

The rule of this file: what a few bytes unpack to is unknown until it is done, so each step has a bound.
"""

from __future__ import annotations

import zlib

ACCEPTED = "gzip, deflate"
"""The value of `Accept-Encoding`."""

_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class DecompressionError(Exception):
    """The answer is not packed as it says, or is cut off."""


class TooLarge(Exception):
    """More than `limit` bytes. `beginning` has so many of them."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__(f"more than {len(beginning)} bytes")
        self.beginning = beginning


class Decompressor:
    """`encoding`: of the header `Content-Encoding`; of an unknown one the bytes are taken as they are."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._begun = False
        self._bits = _WINDOW_BITS.get(encoding.strip().lower())
        self._inflater = None if self._bits is None else zlib.decompressobj(self._bits)

    def take(self, chunk: bytes) -> None:
        """Raises DecompressionError or TooLarge."""
        room = self._limit + 1 - len(self._body)
        self._begun = True
        self._body += chunk[:room] if self._inflater is None else self._inflated(chunk, room)
        if len(self._body) > self._limit:
            raise TooLarge(bytes(self._body[: self._limit]))

    def end(self) -> bytes:
        """The body. Raises DecompressionError where it is cut off."""
        if self._inflater is not None and self._begun and not self._inflater.eof:
            raise DecompressionError("the packed answer is cut off")
        return bytes(self._body)

    def _inflated(self, chunk: bytes, room: int) -> bytes:
        assert self._inflater is not None
        try:
            inflated = self._inflater.decompress(chunk, room)
        except zlib.error:
            if self._bits != zlib.MAX_WBITS or self._body:
                raise DecompressionError("the answer is not packed as it says") from None
        else:
            if self._inflater.unused_data:
                raise DecompressionError("the packed answer goes on behind its end")
            return inflated
        # Some servers mean by `deflate` the bare stream, without the header that RFC 9110 8.4.1.2 wants.
        self._bits = -zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(self._bits)
        return self._inflated(chunk, room)
