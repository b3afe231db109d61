"""Signing in and out, the choice of colours, and the files of the page: what needs no token.

A browser signs in with a token of the API, which it then has in a cookie. No script can read the cookie, and
no foreign page can send it.
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from stream.api.access.authentication import OPEN
from stream.api.access.caller import SESSION_COOKIE
from stream.api.parts import parts_of
from stream.api.problems import Refused
from stream.api.ui.rendering import HEADERS, STATIC, STATIC_TYPES, THEME_COOKIE, THEMES, page

START = "/ui"
LONGEST_PATH = 2000
_IN_A_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/:=@?<>()\[\]{}-]+")
"""Characters that need no quotes in a cookie, so that it is the token itself."""

FOR_EVER_S = 365 * 24 * 3600


def own_path(path: str) -> str:
    """A path of the page, for a redirect; anything else is its beginning."""
    if not path.startswith((f"{START}/", f"{START}?")) or len(path) > LONGEST_PATH:
        return START
    return path if path.isascii() and path.isprintable() and "\\" not in path else START


@get("/login", opt=OPEN, media_type=MediaType.HTML, include_in_schema=False)
async def login_form(request: Request[Any, Any, Any], next: FromQuery[str] = "") -> Response[str]:  # noqa: A002
    return await page(request, "login.html", {"title": "Sign in", "wrong": "", "next": own_path(next)})


@post("/login", opt=OPEN, media_type=MediaType.HTML, include_in_schema=False)
async def login(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sets the cookie, or shows the form again."""
    form = await _form(request)
    token, back = form.get("token", "").strip(), own_path(form.get("next", ""))
    wrong = ""
    if parts_of(request).callers.of_token(token) is None:
        parts_of(request).metrics.refused("unknown")
        wrong = "This token is not known."
    elif not _IN_A_COOKIE.fullmatch(token):
        wrong = "A cookie cannot hold this token. `callstream api token` makes one that fits."
    if wrong:
        return await page(
            request, "login.html", {"title": "Sign in", "wrong": wrong, "next": back}, status=403
        )
    return _redirect(back, _session(request, token))


@post("/logout", opt=OPEN, include_in_schema=False)
async def logout(request: Request[Any, Any, Any]) -> Response[Any]:
    """Removes the cookie."""
    _same_origin(request)
    return _redirect(f"{START}/login", _session(request, ""))


@post("/theme", opt=OPEN, include_in_schema=False)
async def theme(request: Request[Any, Any, Any]) -> Response[Any]:
    """Keeps the choice of colours."""
    form = await _form(request)
    chosen = form.get("theme", "")
    cookie = Cookie(
        THEME_COOKIE,
        path="/ui",
        value=chosen if chosen in THEMES else "",
        max_age=FOR_EVER_S if chosen in THEMES else 0,
        samesite="strict",
        httponly=True,
    )
    return _redirect(own_path(form.get("back", "")), cookie)


@get("/static/{name:str}", opt=OPEN, include_in_schema=False)
async def static(name: FromPath[str]) -> Response[bytes]:
    """A file of the page. Its address changes with its content."""
    if name not in STATIC:
        raise NotFoundException
    headers = {"Cache-Control": f"public, max-age={FOR_EVER_S}, immutable"}
    return Response(STATIC[name], media_type=STATIC_TYPES[name], headers=headers)


def _session(request: Request[Any, Any, Any], token: str) -> Cookie:
    """Until the browser is closed; with an empty token it is removed."""
    return Cookie(
        SESSION_COOKIE,
        path="/",
        value=token,
        max_age=None if token else 0,
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )


def _is_https(request: Request[Any, Any, Any]) -> bool:
    """What a proxy says of itself can only make the cookie stricter."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").lower() == "https"


def _redirect(path: str, cookie: Cookie) -> Response[Any]:
    return Redirect(path, status_code=303, cookies=[cookie], headers={**HEADERS, "Cache-Control": "no-store"})


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The texts of a form that this page has sent."""
    _same_origin(request)
    sent = await request.form()
    return {name: value for name, value in sent.items() if isinstance(value, str)}


def _same_origin(request: Request[Any, Any, Any]) -> None:
    """A foreign page must not sign a browser in or out. Browsers say where a form comes from; what says
    nothing is not a browser.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise Refused(403, "The form was sent by a foreign page.", kind="unknown")


ROUTES = (login_form, login, logout, theme, static)
