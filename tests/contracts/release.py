"""Keeps the schemas of a release, with which later ones are compared: `python -m tests.contracts.release`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stream.contracts.documents import DOCUMENTS, document
from stream.kafka.topics import names, roles

RELEASED = Path(__file__).parent / "released"
TOPICS = "topics"


def contracts() -> dict[str, Any]:
    """Each schema by its name without what only a person reads, and the names of the topics."""
    found = {name: _bare(document(name)) for name in DOCUMENTS}
    return found | {TOPICS: {role: topic for topic, role in roles(names("calls.")).items()}}


def _bare(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    described = schema.get("properties", {})
    return {
        name: {each: _bare(one) for each, one in said.items()} if said is described else _bare(said)
        for name, said in schema.items()
        if name not in ("description", "examples", "title")
    }


def main() -> None:
    RELEASED.mkdir(exist_ok=True)
    for name, found in contracts().items():
        (RELEASED / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
