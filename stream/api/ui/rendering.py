"""Templates to pages: everything that is printed is escaped, for HTML and for a reader's eyes.

No page has a script or a style of its own, so that its policy can forbid both.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from litestar.enums import MediaType
from markupsafe import Markup, escape

from stream.api.access.caller import Caller
from stream.api.parts import parts_of
from stream.api.ui import wording
from stream.service.untrusted import escaped, escaped_lines

THEME_COOKIE = "callstream_theme"
THEMES = ("light", "dark")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
"""Of every page: nothing is loaded from elsewhere, and no script or style stands in the page itself."""

_WEB_ADDRESS = re.compile(r"https?://[!-~]+")

STATIC_TYPES = {
    "htmx-4.0.1.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
STATIC = {name: files("stream.api.ui").joinpath("static", name).read_bytes() for name in STATIC_TYPES}


def static_path(name: str) -> str:
    """The path of a file, which changes with its content: a browser may keep it for ever."""
    return f"/ui/static/{name}?v={hashlib.sha256(STATIC[name]).hexdigest()[:12]}"


def call_path(key: str) -> str:
    return f"/ui/calls/{quote(key, safe='')}"


def short_key(key: str) -> str:
    """The provider's id without its middle, where it is long."""
    call_id = key.partition(":")[2] or key
    return call_id if len(call_id) <= 20 else f"{call_id[:10]}…{call_id[-6:]}"


def web_links(links: dict[str, str]) -> list[tuple[str, str]]:
    """The links of an alert that lead out of the page: names and addresses. Others than web addresses are
    left out: a click on them could run a script.
    """
    return [
        (name, address)
        for name, address in sorted(links.items())
        if name not in ("call", "parent_alert") and _WEB_ADDRESS.fullmatch(address)
    ]


def _visible(value: Any) -> Any:
    """Characters that are invisible, or change the direction of a text, are shown as escapes."""
    return escaped(value) if type(value) is str else value


def _lines(text: str) -> Markup:
    """A text of ours of several lines, which stay lines."""
    return escape(escaped_lines(text))


_ENVIRONMENT = Environment(
    loader=PackageLoader("stream.api.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_visible,
)
_ENVIRONMENT.globals |= {
    "call_path": call_path,
    "clock": wording.clock,
    "duration": wording.duration,
    "lines": _lines,
    "moment": wording.moment,
    "offset": wording.offset,
    "short_key": short_key,
    "static": static_path,
    "symbol": lambda word: wording.SYMBOLS.get(word or "", "?"),
    "web_links": web_links,
    "words": wording.words,
}
_ENVIRONMENT.filters["words"] = wording.words


def render(template: str, context: dict[str, Any]) -> str:
    """The text of a page, or of a part of one."""
    return _ENVIRONMENT.get_template(template).render(context)


async def page(
    request: Request[Any, Any, Any],
    template: str,
    context: dict[str, Any],
    *,
    section: str = "",
    status: int = 200,
) -> Response[str]:
    """The answer with a page. It is rendered in a thread: a long call takes tens of milliseconds."""
    text = await asyncio.to_thread(render, template, {**_frame(request, section), **context})
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


def short_page(
    request: Request[Any, Any, Any], template: str, context: dict[str, Any], status: int
) -> Response[str]:
    """The same for a page of a few lines, rendered at once: an exception handler cannot wait."""
    text = render(template, {**_frame(request, ""), **context})
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


def _frame(request: Request[Any, Any, Any], section: str) -> dict[str, Any]:
    return {
        "caller": _caller_of(request),
        "here": here(request),
        "section": section,
        "sessions": parts_of(request).callers.are_configured,
        "theme": theme_of(request),
    }


def here(request: Request[Any, Any, Any]) -> str:
    """Path and query of the request, as they were sent."""
    query = request.url.query
    return quote(request.url.path, safe="/") + (f"?{query}" if query else "")


def theme_of(request: Request[Any, Any, Any]) -> str | None:
    """The colours that were chosen; None: the system's."""
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None


def _caller_of(request: Request[Any, Any, Any]) -> Caller | None:
    caller = request.scope.get("user")
    return caller if isinstance(caller, Caller) else None
