"""Removes what never leaves: secrets, found by their names, and user info, query and fragment of URLs.

Customers put passwords and tokens into the user info and the query of URLs; Twilio puts settings of the
connection into the fragment. Numbers and addresses stay here: they are masked later, as the privacy setting
says. Which names are secrets is decided by `stream.core.privacy.sensitive_names`.
"""

from __future__ import annotations

import re
from typing import Any

from stream.core.privacy.sensitive_names import kind_of, kind_of_header

_LIMIT = 512

_URL = re.compile(r"(https?|wss?)://(?:[^/?#\\\s]*@)?([^/?#@\\\s]+)([^?#\s]*)", re.IGNORECASE)


def bare_web_url(url: str) -> str | None:
    """A URL without user info, query and fragment; None if it is not the URL of a web server."""
    match = _URL.match(url)
    return None if match is None else f"{match[1]}://{match[2]}{match[3]}"[:_LIMIT]


def without_secrets(value: Any) -> Any:
    """A copy of a JSON value without secrets. The value's depth must be checked already."""
    kind = type(value)
    if kind is dict:
        name = value.get("name") if len(value) == 2 and "value" in value else None
        if type(name) is str and kind_of_header(name) == "secret":
            return {"name": name}
        kept = value.copy()
        if "secret" in map(kind_of, value):
            for name in value:
                if kind_of(name) == "secret":
                    del kept[name]
        for name, inner in kept.items():
            kind = type(inner)
            if kind is str:
                if "://" in inner:
                    kept[name] = without_secrets(inner)
            elif kind is dict or kind is list:
                kept[name] = without_secrets(inner)
        return kept
    if kind is list:
        return [without_secrets(inner) for inner in value]
    if kind is str and "://" in value[:8]:
        return bare_web_url(value) or value
    return value
