"""Validators of the closed schemas: what is not described is refused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import orjson
from jsonschema import Draft202012Validator

from stream.contracts.asyncapi import CHANNELS
from stream.contracts.documents import document
from tests.e2e.harness import ReadRecord


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of a document."""
    return Draft202012Validator(
        document(name, closed=True), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


LOOKED_AT = 150
"""Records of a topic, evenly spread: a validation takes milliseconds."""


def off_schema(role: str, records: Sequence[ReadRecord]) -> list[str]:
    """What the closed schemas of a topic say against its records and their headers, but for null values."""
    (channel,) = (one for one in CHANNELS if one.role == role)
    found: list[str] = []
    for record in records[:: max(1, len(records) // LOOKED_AT)]:
        if record.value is None:
            continue
        headers = {name: said.decode() for name, said in record.headers}
        for name, one in ((channel.headers, headers), (channel.values, orjson.loads(record.value))):
            errors = validator(name).iter_errors(one) if name is not None else ()
            found += [f"{role}, {name}, {error.json_path}: {error.message:.200}" for error in errors]
    return found
