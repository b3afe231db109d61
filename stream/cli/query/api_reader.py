"""Reads the query API over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from stream.archive.questions import (
    AlertFilter,
    BadCursorError,
    CallFilter,
    CallHistory,
    CallPage,
    RecordPage,
)
from stream.cli.query.reader import NoAnswerError
from stream.core.events import UNDECODABLE
from stream.core.timestamps import utc
from stream.service.errors import describe
from stream.service.http.client import session

LIMIT_S = 30.0
MOST_BYTES = 64 * 1024 * 1024

Answer = TypeVar("Answer")


class _Found(msgspec.Struct):
    keys: list[str]


class _Invalid(msgspec.Struct):
    name: str = ""
    reason: str = ""


class _Problem(msgspec.Struct):
    """What of a problem (RFC 9457) says what to change."""

    invalid: list[_Invalid] = []


class ApiCallReader:
    """`url`: of the API, without a path of its own; `token`: empty for none."""

    def __init__(self, url: str, token: str) -> None:
        self.where = url
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def calls(self, wanted: CallFilter, limit: int, after: str | None = None) -> CallPage:
        return await self._page("/v1/calls", wanted, limit, after, CallPage)

    async def call(self, key: str) -> CallHistory | None:
        return await self._get(f"/v1/calls/{quote(key, safe=':')}", {}, CallHistory)

    async def find(self, part: str, limit: int) -> list[str]:
        """The API bounds the list itself."""
        found = await self._get("/v1/calls/find", {"part": part}, _Found)
        if found is None:
            raise self._no_api("/v1/calls/find")
        return found.keys[:limit]

    async def alerts(self, wanted: AlertFilter, limit: int, after: str | None = None) -> RecordPage:
        return await self._page("/v1/alerts", wanted, limit, after, RecordPage)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _page(
        self, path: str, wanted: CallFilter | AlertFilter, limit: int, after: str | None, type_: type[Answer]
    ) -> Answer:
        query = {**_query(wanted), "limit": str(limit), **({"after": after} if after else {})}
        page = await self._get(path, query, type_)
        if page is None:
            raise self._no_api(path)
        return page

    def _no_api(self, path: str) -> NoAnswerError:
        return NoAnswerError(f"{self._url} is not a query API of callstream: it has no {path}")

    async def _get(self, path: str, query: Mapping[str, Any], type_: type[Answer]) -> Answer | None:
        """The answer, None for a 404."""
        self._session = self._session or session(timeout_s=LIMIT_S)
        try:
            async with self._session.get(self._url + path, params=query, headers=self._headers) as response:
                body = await _bounded(response)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswerError(
                f"{self._url} does not answer: {describe(error)}: does `callstream api` run there, and is "
                "CALLSTREAM_API_URL right?"
            ) from None
        if status == 404:
            return None
        if status == 400:
            raise self._refused(body)
        if status != 200:
            raise NoAnswerError(f"{self._url} {_REFUSALS.get(status, f'answers with {status}')}")
        try:
            return await asyncio.to_thread(msgspec.json.decode, body, type=type_)
        except UNDECODABLE:
            raise NoAnswerError(f"{self._url} does not answer like a query API of callstream") from None

    def _refused(self, body: bytes) -> Exception:
        """A parameter that the API refuses."""
        try:
            problem = msgspec.json.decode(body, type=_Problem)
        except UNDECODABLE:
            problem = _Problem()
        if any(one.name == "after" for one in problem.invalid):
            return BadCursorError("not the cursor of a page")
        said = ", ".join(f"{one.name} {one.reason}" for one in problem.invalid)
        return NoAnswerError(f"{self._url} refuses the question{f': {said}' if said else ''}")


_REFUSALS = {
    401: "wants a token: set CALLSTREAM_API_TOKEN",
    403: "does not let this token read that",
    429: "takes no further requests of this token for now",
    503: "cannot read its archive for now",
}


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MOST_BYTES:
            raise NoAnswerError("the answer is too large")
    return bytes(body)


def _query(wanted: CallFilter | AlertFilter) -> dict[str, Any]:
    """The fields of a filter that say something, as a query."""
    said = {}
    for name in wanted.__struct_fields__:
        value = getattr(wanted, name)
        # `masked_too` is no parameter of the API: no command asks it for less.
        if value in (None, ()) or name in ("accounts", "masked_too"):
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, datetime):
            value = utc(round(value.timestamp() * 1_000_000))
        said[name] = [str(one) for one in value] if isinstance(value, tuple) else str(value)
    if wanted.accounts:
        said["account"] = sorted(wanted.accounts)
    return said
