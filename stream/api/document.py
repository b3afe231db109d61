"""The OpenAPI document: Litestar's, with the published schemas of records, events and alerts.

Litestar makes them from the same types; the published ones say what each field means, which words it takes,
and what a later version may add.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from litestar import Request, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Reference, SecurityScheme

from stream.api.access.authentication import OPEN
from stream.api.access.caller import SESSION_COOKIE
from stream.contracts.json_schema import Schema, schema_of
from stream.core.alerting.alert import Alert
from stream.core.call.record import CallRecord
from stream.core.events import Event

PATH = "/openapi.json"
PUBLISHED = (Event, CallRecord, Alert)

_DEFINITIONS, _COMPONENTS = "#/$defs/", "#/components/schemas/"
_SCHEMES: dict[str, SecurityScheme | Reference] = {
    "bearer": SecurityScheme(type="http", scheme="bearer", description="A token of the API."),
    "basic": SecurityScheme(
        type="http", scheme="basic", description="An account's id and a token, as the SDKs send them."
    ),
    "session": SecurityScheme(
        type="apiKey", name=SESSION_COOKIE, security_scheme_in="cookie", description="The page's session."
    ),
}


class _Published(JsonRenderPlugin):
    """Answers with the document as JSON."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return self.render_json(request, with_published_schemas(openapi_schema))


def openapi() -> OpenAPIConfig:
    """How Litestar makes the document, and where it is."""
    return OpenAPIConfig(
        title="callstream",
        version=version("callstream"),
        description="Phone calls of Twilio and Telnyx: what happened to them.",
        components=Components(security_schemes=_SCHEMES),
        security=[{name: []} for name in _SCHEMES],
        use_handler_docstrings=True,
        # The document has no data of calls: programs may read it without a token.
        openapi_router=Router(PATH, route_handlers=[], opt=OPEN, include_in_schema=False),
        render_plugins=[_Published(path=["/", "/openapi.json"])],
    )


def with_published_schemas(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the published schemas of the types in it."""
    components = document["components"]
    schemas = dict(components["schemas"])
    for kind in PUBLISHED:
        if kind.__name__ in schemas:
            found = _moved(schema_of(kind))
            schemas |= found.pop("$defs", {})
            schemas[kind.__name__] = {"title": kind.__name__, **found}
    return {**document, "components": {**components, "schemas": schemas}}


def _moved(schema: Any) -> Any:
    """The schema with references to components of a document."""
    if isinstance(schema, list):
        return [_moved(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made: Schema = {name: _moved(one) for name, one in schema.items()}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace(_DEFINITIONS, _COMPONENTS)
    return made
