"""The AsyncAPI document: what it says of the topics, and that AsyncAPI's own parser accepts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from stream.contracts.asyncapi import CHANNELS, asyncapi
from stream.contracts.documents import DOCUMENTS, document
from stream.kafka.topics import POLICIES

TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callstream" / "tools"
PARSER = TOOLS / "node_modules" / "@asyncapi" / "parser"
CHECK = """
const {Parser} = require(process.argv[1]);
const parser = new Parser();
const parsed = async one => {
  const {document, diagnostics} = await parser.parse(JSON.stringify(one));
  const wrong = diagnostics.filter(one => one.severity === 0);
  const errors = wrong.map(one => one.path.join('.') + ': ' + one.message);
  const topics = document ? document.channels().all().map(one => one.address()) : [];
  return {topics, errors};
};
(async () => {
  const found = [];
  for (const one of JSON.parse(require('fs').readFileSync(0, 'utf8'))) found.push(await parsed(one));
  console.log(JSON.stringify(found));
})();
"""
INTERNAL = {"polling", "ticks", "changelog", "scopes"}


def parsed(documents: list[dict[str, Any]]) -> list[dict[str, list[str]]]:
    """The topics that the parser finds in each document, and its errors."""
    done = subprocess.run(
        ["node", "-e", CHECK, str(PARSER)],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(
    not (shutil.which("node") and PARSER.is_dir()) and "REQUIRE_ASYNCAPI" not in os.environ,
    reason="AsyncAPI's parser is not installed: make deploy-check does it, with Node",
)
def test_the_parser_of_the_asyncapi_project_accepts_the_document_and_refuses_a_wrong_one() -> None:
    whole = asyncapi("calls.", 12)
    wrong = deepcopy(whole)
    wrong["channels"]["events"]["bindings"]["kafka"]["partitions"] = "twelve"
    wrong["components"]["schemas"]["event"]["properties"]["late"]["type"] = "bool"
    found, refused = parsed([whole, wrong])
    assert found["errors"] == []
    assert found["topics"] == [channel["address"] for channel in whole["channels"].values()]
    told = "\n".join(refused["errors"])
    assert '"partitions" property type must be integer' in told
    assert "components.schemas.event.properties.late.type" in told


def test_every_topic_is_a_channel_with_its_policy_or_is_callstreams_own() -> None:
    found = asyncapi("acme.", 3)["channels"]
    assert {*POLICIES} - {*found} <= INTERNAL
    assert found["ended"]["address"] == "acme.ended.v1"
    assert found["ended"]["bindings"]["kafka"] == {
        "topic": "acme.ended.v1",
        "partitions": 3,
        "topicConfiguration": {
            "cleanup.policy": ["compact", "delete"],
            "retention.ms": 2592000000,
            "max.message.bytes": 2097152,
            "min.compaction.lag.ms": 86400000,
        },
        "bindingVersion": "0.5.0",
    }


def test_every_schema_is_used_and_parts_of_one_name_are_equal() -> None:
    schemas = asyncapi("calls.", 12)["components"]["schemas"]
    used = {one for channel in CHANNELS for one in (channel.values, channel.headers, channel.note)}
    assert {*DOCUMENTS} == used - {None}
    for name in DOCUMENTS:
        for part, about in document(name).get("$defs", {}).items():
            assert about["properties"].keys() == schemas[part]["properties"].keys()
