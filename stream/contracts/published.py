"""All documents of an installation as files: what the roles serve at `/schemas/`."""

from __future__ import annotations

import json

from stream.contracts.asyncapi import asyncapi
from stream.contracts.documents import DOCUMENTS, document
from stream.service.settings import RoleSettings

ASYNCAPI = "asyncapi"


def published(settings: RoleSettings) -> dict[str, bytes]:
    """Each document by its file's name."""
    found = {name: document(name) for name in DOCUMENTS}
    found[ASYNCAPI] = asyncapi(settings.topic_prefix, settings.partitions)
    return {f"{name}.json": json.dumps(one, indent=2).encode() for name, one in found.items()}
