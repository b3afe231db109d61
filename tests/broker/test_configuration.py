"""The broker's settings with what is added to them."""

from __future__ import annotations

from stream.broker.configuration import properties


def settings(more: dict[str, str]) -> dict[str, str]:
    text = properties("kafka", port=1, controller_port=2, more=more)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_added_listeners_stand_beside_ours_and_other_settings_replace_ours() -> None:
    ours = settings({})
    assert ours["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    added = settings({"listeners": "SSL://localhost:3", "log.dirs": "/elsewhere"})
    assert added == {**ours, "listeners": f"{ours['listeners']},SSL://localhost:3", "log.dirs": "/elsewhere"}
