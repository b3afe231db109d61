"""JSON Schemas (2020-12) from the types of what is written, and what `fields` says of their fields.

An open schema is for readers: it allows fields and words that a later version may add. A closed one is for
tests: it allows nothing that is not described.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stream.contracts.alert_fields import ALERT_FIELDS
from stream.contracts.field_text import MISSING, Field
from stream.contracts.fields import FIELDS
from stream.contracts.shapes import SHAPES
from stream.contracts.wire_fields import WIRE_FIELDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/"
DESCRIBED = FIELDS | ALERT_FIELDS | WIRE_FIELDS

Schema = dict[str, Any]


class NotDescribedError(LookupError):
    """A field of what is written has no description, or no shape."""


def field_of(kind: str, name: str) -> Field:
    """What is said of a field. Raises NotDescribedError."""
    found = DESCRIBED.get(f"{kind}.{name}") or DESCRIBED.get(name)
    if found is not None:
        return found
    raise NotDescribedError(
        f'{kind}.{name} is not described: add "{kind}.{name}", with a sentence and an example, to a table in '
        "stream/contracts/*fields.py"
    )


def schema_of(kind: Any, *, closed: bool = False) -> Schema:
    """The schema of a type, with those of the types inside as `$defs`. Raises NotDescribedError."""
    (_, *shaped), components = msgspec.json.schema_components(
        [kind, *SHAPES.values()], ref_template=_REFERENCE + "{name}"
    )
    shapes = dict(zip(SHAPES, shaped, strict=True))
    made: dict[str, Schema] = {}

    def make(name: str) -> None:
        made[name] = _object(name, components[name], shapes, closed=closed)
        for other in _references(made[name]):
            if other not in made:
                make(other)

    make(kind.__name__)
    root = made.pop(kind.__name__)
    return root | ({"$defs": made} if made else {})


def headers_schema(named: dict[str, Field], *, closed: bool = False) -> Schema:
    """The schema of a record's headers, as an object of texts."""
    return {
        "type": "object",
        "properties": {
            name: _described({"type": "string"}, about, closed=closed) for name, about in named.items()
        },
        "required": [name for name, about in named.items() if not about.optional],
    } | ({"additionalProperties": False} if closed else {})


def example_of(schema: Schema, root: Schema | None = None) -> Any:
    """What the examples of a schema's fields come to."""
    root = root or schema
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(root["$defs"][schema["$ref"].removeprefix(_REFERENCE)], root)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], root)
    if "items" in schema:
        return [example_of(schema["items"], root)]
    found = {name: example_of(about, root) for name, about in schema["properties"].items()}
    return {name: one for name, one in found.items() if one or name in schema["required"]}


def _object(kind: str, found: Schema, shapes: dict[str, Schema], *, closed: bool) -> Schema:
    types = {name: shapes.get(f"{kind}.{name}", one) for name, one in found["properties"].items()}
    abouts = {name: field_of(kind, name) for name in types}
    made: Schema = {
        "description": " ".join(found.get("description", "").partition("\n\n")[0].split()),
        "type": "object",
        "properties": {
            name: _described(_plain(one, abouts[name]), abouts[name], closed=closed)
            for name, one in types.items()
        },
    }
    for name, one in made["properties"].items():
        if one.get("type") == "object" and "additionalProperties" not in one and "examples" not in one:
            raise NotDescribedError(f"{kind}.{name} is a plain object: give it a type, or a shape in SHAPES")
    made["required"] = [name for name, about in abouts.items() if not about.optional]
    if closed:
        made["additionalProperties"] = False
    return made


def _plain(found: Schema, about: Field) -> Schema:
    """The type as msgspec says it, with all that may be null or of two types in one `type`."""
    found = {name: said for name, said in found.items() if name != "default"}
    choices = [_typed(one) for one in found.pop("anyOf", [found])]
    if about.always:
        choices = [one for one in choices if one != {"type": "null"}]
    if len(choices) == 1:
        return dict(choices[0])
    if any("$ref" in one for one in choices):
        return {"anyOf": choices}
    types = {one["type"] for one in choices if "type" in one}
    enum = [word for one in choices for word in one.get("enum", ())]
    if {"number", "integer"} <= types:
        types.remove("integer")
    order = ("string", "number", "integer", "boolean", "array", "object", "null")
    rest = {name: said for one in choices for name, said in one.items() if name not in ("type", "enum")}
    made: Schema = {"type": [name for name in order if name in types], **rest}
    return made | ({"enum": [*enum, *([None] if "null" in types else ())]} if enum else {})


def _typed(one: Schema) -> Schema:
    """msgspec gives the words of a Literal no type."""
    words = [word for word in one.get("enum", ()) if word is not None]
    return {"type": "string", **one, "enum": words} if words else one


def _described(found: Schema, about: Field, *, closed: bool) -> Schema:
    """A field's schema with what is said of it."""
    rules = {name: _opened(said, closed=closed) for name, said in about.rules.items()}
    made = {"description": about.description + _listed(about.known), **found}
    for name in ("items", "additionalProperties"):
        if name in rules and isinstance(found.get(name), dict):
            rules[name] = found[name] | rules[name]
    made |= rules
    if closed and about.known:
        made["enum"] = [*about.known]
    if "enum" in made and "null" in (made.get("type") or ()) and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    if about.example is not MISSING:
        made["examples"] = [about.example]
    return made


def _opened(rule: Any, *, closed: bool) -> Any:
    """A rule about what is inside; the words of a growing vocabulary are held only by a closed schema."""
    if isinstance(rule, dict) and "known" in rule:
        return {"enum": [*rule["known"]]} if closed else {}
    return rule


def _listed(known: tuple[str, ...]) -> str:
    return (
        f" One of {', '.join(f'`{word}`' for word in known)}; a later version may add more." if known else ""
    )


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(_REFERENCE)
        schema = schema.values()
    elif not isinstance(schema, list):
        return
    for one in schema:
        yield from _references(one)
