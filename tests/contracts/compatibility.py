"""Whether a reader of one schema can read what a newer one describes.

Fields may be added, and words of growing vocabularies. All else that a record may be now and could not be
before breaks a reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_AT_LEAST = ("minimum", "minLength", "minItems")
_AT_MOST = ("maximum", "maxLength", "maxItems")


def breaks(old: Schema, new: Schema) -> list[str]:
    """What breaks a reader of `old`, one sentence each."""
    return [
        *_breaks(_Node(old, old), _Node(new, new), ""),
        *(f"no longer: {one}" for one in old.get("allOf", ()) if one not in new.get("allOf", ())),
    ]


class _Node:
    """A schema within its document, with references followed and null as a type."""

    def __init__(self, said: Schema, root: Schema) -> None:
        self.root = root
        choices = [self._followed(one) for one in said.get("anyOf", [said])]
        self.types = {word for one in choices for word in _listed(one.get("type", ()))}
        self.types |= {"integer"} if "number" in self.types else set()
        self.said = {name: value for one in choices for name, value in one.items()}

    def _followed(self, said: Schema) -> Schema:
        found: Schema = self.root["$defs"][said["$ref"].rpartition("/")[2]] if "$ref" in said else said
        return found

    def inside(self, name: str) -> dict[str, _Node]:
        """What is described inside: of `properties` by name, of `items` as one."""
        found = self.said.get(name)
        if not isinstance(found, dict):
            return {}
        named = found if name == "properties" else {name: found}
        return {each: _Node(one, self.root) for each, one in named.items()}


def _listed(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else list(types)


def _breaks(old: _Node, new: _Node, path: str) -> Iterator[str]:
    at = path or "the record"
    if more := (new.types - old.types if old.types else set()):
        yield f"{at} may be {', '.join(sorted(more))} now"
    for name in ("const", "pattern", "format"):
        if name in old.said and new.said.get(name) != old.said[name]:
            yield f"{at} has another {name}"
    if "enum" in old.said:
        words = new.said.get("enum")
        if words is None:
            yield f"{at} may be any word now"
        elif more_words := [str(word) for word in words if word not in old.said["enum"]]:
            yield f"{at} may be {', '.join(more_words)} now"
    for name in (*_AT_LEAST, *_AT_MOST):
        before, now = old.said.get(name), new.said.get(name)
        if before is not None and (now is None or (now < before if name in _AT_LEAST else now > before)):
            yield f"{at} has another {name}"
    fields = new.inside("properties")
    for name, one in old.inside("properties").items():
        inner = f"{path}.{name}".removeprefix(".")
        if name not in fields:
            yield f"{inner} is gone"
            continue
        if name in old.said.get("required", ()) and name not in new.said.get("required", ()):
            yield f"{inner} may be left out now"
        yield from _breaks(one, fields[name], inner)
    for name in ("items", "additionalProperties"):
        for before_, now_ in zip(old.inside(name).values(), new.inside(name).values(), strict=False):
            yield from _breaks(before_, now_, f"{path}[]")
