"""A body without what is never passed on: secrets by their names, and what URLs carry beside their address.

Numbers and addresses are not withheld here but masked later, as the privacy setting says. Which names are
secrets is `stream.core.privacy.sensitive_names`'s.
"""

from __future__ import annotations

from typing import Any

from stream.core.privacy.sensitive_names import kind_of, kind_of_header
from stream.sources import urls


def passed_on(value: Any) -> Any:
    """A copy of a JSON value without what is withheld. The value's depth is bounded by then."""
    if type(value) is str:
        return (urls.bare(value) or value) if "://" in value[:8] else value
    if type(value) is dict:
        name = value.get("name")
        if type(name) is str and set(value) == {"name", "value"} and kind_of_header(name) == "secret":
            return {"name": name}
        return {name: passed_on(inner) for name, inner in value.items() if kind_of(name) != "secret"}
    if type(value) is list:
        return [passed_on(inner) for inner in value]
    return value
