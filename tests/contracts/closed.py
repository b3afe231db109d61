"""Validators of the closed schemas: what is not described is refused."""

from __future__ import annotations

from functools import cache

from jsonschema import Draft202012Validator

from stream.contracts.documents import document


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of a document."""
    return Draft202012Validator(
        document(name, closed=True), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
