"""`python -m tests.replay.record [NAME]…` writes what comes of the traces today. Read the difference."""

from __future__ import annotations

import sys

import orjson

from tests.replay.replaying import TRACES, expected_path, read_trace, replay


def main(names: list[str]) -> None:
    for name in names or TRACES:
        found = orjson.dumps(replay(read_trace(name)), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        expected_path(name).write_bytes(found)


if __name__ == "__main__":
    main(sys.argv[1:])
