"""The app: its routes, and what holds for all of them. It opens no socket: a server or a test runs it."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.middleware import DefineMiddleware
from litestar.types import ControllerRouterHandler

from stream.api.access.authentication import Authentication
from stream.api.access.rate_limit import RequestLimit
from stream.api.document import openapi
from stream.api.edge import Edge
from stream.api.parts import ApiParts
from stream.api.problems import HANDLERS
from stream.service.tables.api_settings import ApiFields
from stream.service.tables.api_tokens import ApiToken, of_all_accounts

LARGEST_BODY = 65_536
"""Bytes of a request's body. Only the page's form has one."""

SHORTCUT_TOKEN = "callstream-api-token"
"""The name of the token in `CALLSTREAM_API_TOKEN`."""


def tokens_of(chosen: ApiFields) -> tuple[ApiToken, ...]:
    shortcut = (of_all_accounts(SHORTCUT_TOKEN, chosen.api_token),) if chosen.api_token else ()
    return (*shortcut, *chosen.api_tokens)


def make_app(parts: ApiParts, routes: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The app over an archive. `routes`: beside those of this package."""
    chosen, metrics = parts.settings, parts.metrics
    app = Litestar(
        route_handlers=[*routes],
        middleware=[
            DefineMiddleware(
                Authentication,
                callers=parts.callers,
                limit=RequestLimit(chosen.api_rate),
                refused=metrics.refused,
            )
        ],
        exception_handlers=HANDLERS,
        cors_config=_cors(chosen),
        openapi_config=openapi(),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    app.state.parts = parts
    metrics.known_routes(sorted({route.path_format for route in app.routes}))
    app.asgi_handler = Edge(app.asgi_handler, chosen.api_timeout_s, metrics.answered)
    return app


def _cors(chosen: ApiFields) -> CORSConfig | None:
    if not chosen.api_cors_origins:
        return None
    return CORSConfig(
        allow_origins=[*chosen.api_cors_origins],
        allow_methods=["GET"],
        allow_headers=["Authorization", "Last-Event-ID", "If-None-Match"],
        expose_headers=["ETag", "Retry-After", "X-Callstream-Completeness"],
        allow_credentials=False,
    )
