"""Removal of secrets from a body."""

from __future__ import annotations

from stream.sources.redaction import without_secrets


def test_what_is_secret_is_left_out_at_every_depth_and_all_else_copied() -> None:
    told = {
        "a": [{"SipAuthPassword": "x", "b": 1}, {"name": "Cookie", "value": "x"}],
        "parameters": {"call_token": "x", "To": "y", "Digits": "1"},
    }
    kept = without_secrets(told)
    assert kept == {"a": [{"b": 1}, {"name": "Cookie"}], "parameters": {"To": "y", "Digits": "1"}}
    assert kept["parameters"] is not told["parameters"]
