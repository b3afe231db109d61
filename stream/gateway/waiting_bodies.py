"""Bodies that have not arrived yet: bounded in number and in time, apart from the requests in work.

A request whose body does not arrive occupies a place here and nowhere else. A provider's body arrives with
its head or milliseconds later, so the body that has waited longest is dropped for a new one, first among
those of the same address. An address that occupies all of its places gets no new connection either: each
would cost a head, a drop and an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

AT_MOST = 256
AT_MOST_OF_AN_ADDRESS = 64
BODY_S = 2.0
"""A body must have arrived after this time, however steadily it comes. A provider's takes milliseconds."""


class DisplacedError(Exception):
    """The body had waited longest when another one needed its place."""


class _Waiting:
    def __init__(self, timeout: asyncio.Timeout) -> None:
        self.timeout = timeout
        self.displaced = False


class WaitingBodies:
    """The bodies that are being read, the oldest first."""

    def __init__(
        self,
        *,
        at_most: int = AT_MOST,
        at_most_of_an_address: int = AT_MOST_OF_AN_ADDRESS,
        limit_s: float = BODY_S,
    ) -> None:
        self._at_most = at_most
        self._at_most_of_an_address = at_most_of_an_address
        self._limit_s = limit_s
        self._all: dict[_Waiting, str] = {}
        self._by_address: dict[str, dict[_Waiting, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def is_full(self, address: str) -> bool:
        """Whether an address occupies all the places that one address may."""
        return len(self._by_address.get(address, ())) >= self._at_most_of_an_address

    async def read(self, reading: Coroutine[None, None, bytes], address: str) -> bytes:
        """The result of `reading`. Raises TimeoutError after the limit, and DisplacedError."""
        self._make_room(address)
        timeout = asyncio.timeout(self._limit_s)
        one = _Waiting(timeout)
        self._all[one] = address
        self._by_address.setdefault(address, {})[one] = None
        try:
            async with timeout:
                return await reading
        except TimeoutError:
            if one.displaced:
                raise DisplacedError from None
            raise
        finally:
            self._forget(one)

    def _make_room(self, address: str) -> None:
        if self.is_full(address):
            self._displace(next(iter(self._by_address[address])))
        elif len(self._all) >= self._at_most:
            self._displace(next(iter(self._all)))

    def _displace(self, one: _Waiting) -> None:
        self._forget(one)
        if not one.timeout.expired():
            one.displaced = True
            one.timeout.reschedule(asyncio.get_running_loop().time())

    def _forget(self, one: _Waiting) -> None:
        address = self._all.pop(one, None)
        if address is None:
            return
        of_it = self._by_address[address]
        del of_it[one]
        if not of_it:
            del self._by_address[address]
