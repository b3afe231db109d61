"""A parameter that a path does not have is refused: misspelt, it would silently filter nothing."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from stream.api.questions.filters import invalid


def only_known(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard of routes: raises Refused (400)."""
    asked = {*connection.query_params}
    if asked and (unknown := asked - _parameters(connection)):
        raise invalid(min(unknown)[:40], "is not a parameter of this path")


def _parameters(connection: ASGIConnection[Any, Any, Any, Any]) -> set[str]:
    """The names of the route's parameters, as the document has them."""
    path = (connection.app.openapi_schema.paths or {})[connection.scope["path_template"]]
    found = path.get.parameters if path.get is not None else None
    return {one.name for one in found or () if one.param_in == "query"}  # type: ignore[union-attr]
