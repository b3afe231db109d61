"""`callstream call`, `calls` and `alerts` on an archive, as one types them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.text import Text

from stream.cli.main import main
from stream.cli.support.drawing import PlainConsole
from tests.cli.query.stored import replayed_whole, stored
from tests.timeline.recorded import recorded_calls

BUSY, TELNYX = "twilio:CA00000000000000000000000000000002", "telnyx:c3f1d6a0-0000-11ef-8000-02420a0d7e70"
FAILED = "twilio:CA00000000000000000000000000000001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three calls: one that an analytics engine refused, one to a busy line, one of Telnyx."""
    folder = tmp_path_factory.mktemp("data")
    with stored(folder, "child-legs", "telnyx-v1-v2-mix", "spam-block"):
        yield folder


def run(folder: Path, *arguments: str, **environment: str) -> Result:
    bare = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
    env = {**bare, "CALLSTREAM_DATA_DIR": str(folder), **environment}
    return CliRunner().invoke(main, list(arguments), env=env, prog_name="callstream")


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_calls_are_listed_newest_first(folder: Path) -> None:
    done = run(folder, "calls")
    assert done.exit_code == 0
    head, *lines = done.stdout.splitlines()
    assert head.split() == [
        "started",
        "UTC",
        "call",
        "dir",
        "from",
        "to",
        "outcome",
        "fault",
        "codes",
        "talk",
    ]
    assert [line.split()[2] for line in lines] == [
        "twilio:CA000000…00000002",
        "telnyx:c3f1d6a0…0a0d7e70",
        "twilio:CA000000…00000001",
    ]
    assert lines[0].split()[3:] == [
        "out",
        "+15*******06",
        "+15*******04",
        "busy",
        "callee",
        "SIP",
        "486",
        "-",
    ]


@pytest.mark.parametrize("command", ["calls", "alerts"])
def test_a_terminal_of_80_columns_has_a_line_for_each_call(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(PlainConsole):
        def __init__(self, **how: Any) -> None:
            super().__init__(**{"force_terminal": True, "width": 80, "height": 24, **how})

    monkeypatch.setattr("stream.cli.query.listing.PlainConsole", Terminal)
    done = run(folder, command, NO_COLOR="1")
    lines = [Text.from_ansi(line).plain.rstrip() for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    if command == "calls":
        assert lines[1:] == [
            "03-02 10:00 CA00…0002 +15*******06 +15*******04 busy     callee     SIP 486",
            "03-02 10:00 c3f1…7e70 +15*******06 +15*******09 answered -          -",
            "03-02 10:00 CA00…0001 +15*******06 +15*******09 failed   spam_block SIP 608",
        ]
        assert run(folder, "call", "CA00…0002").exit_code == 0


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (["--failed"], [BUSY, FAILED]),
        (["--outcome", "busy", "--outcome", "answered"], [BUSY, TELNYX]),
        (["--status", "busy"], [BUSY]),
        (["--fault", "spam_block"], [FAILED]),
        (["--provider", "telnyx"], [TELNYX]),
        (["--number", "+15*******04"], [BUSY]),
        (["--sip", "608"], [FAILED]),
        (["--min-duration", "30"], [TELNYX]),
        (["--max-duration", "30"], []),
        (["--since", "2026-03-02T10:00:01Z"], [BUSY]),
        (["--until", "2026-03-02T10:00:01Z"], [TELNYX, FAILED]),
        (["--since", "1h"], []),
        (["--account", "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"], [BUSY, FAILED]),
        (["--account", "AC9"], []),
        (["--direction", "outbound", "--limit", "1"], [BUSY]),
    ],
)
def test_each_filter_means_what_it_says(folder: Path, options: list[str], keys: list[str]) -> None:
    assert [one["key"] for one in objects(run(folder, "calls", "--json", *options))] == keys


def test_a_page_names_the_next_one(folder: Path) -> None:
    first = run(folder, "calls", "-n", "2", "--json")
    assert [one["key"] for one in objects(first)] == [BUSY, TELNYX]
    cursor = first.stderr.split("--after ")[1].strip()
    second = run(folder, "calls", "-n", "2", "--json", "--after", cursor)
    assert [one["key"] for one in objects(second)] == [FAILED]
    assert second.stderr == ""


def test_csv_is_a_line_for_each_call_with_the_same_values(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(folder, "calls", "-o", "csv").stdout)))
    told = objects(run(folder, "calls", "--json"))
    assert [row["key"] for row in rows] == [BUSY, TELNYX, FAILED]
    assert [(row["sip_response_code"], row["complete"]) for row in rows] == [
        (
            "" if one["sip_response_code"] is None else str(one["sip_response_code"]),
            str(one["complete"]).lower(),
        )
        for one in told
    ]


@pytest.mark.parametrize("part", [BUSY, BUSY[7:], "0002", "CA000000…00000002", "CA0...0002"])
def test_a_call_is_found_by_any_part_of_its_id(folder: Path, part: str) -> None:
    done = run(folder, "call", part)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == BUSY
    assert "verdict     callee (high): The called line was busy." in lines
    assert any(line.startswith("+8.000") and "#2 busy, SIP 486" in line for line in lines)


def test_the_timeline_as_json_is_that_of_the_records(folder: Path) -> None:
    (told,) = objects(run(folder, "call", "0002", "--json"))
    timeline = recorded_calls("child-legs")[BUSY].timeline
    assert [row["text"] for row in told["rows"]] == [row.text for row in timeline.rows]


def test_the_timeline_as_csv_has_a_line_for_each_row(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(folder, "call", "0002", "-o", "csv").stdout)))
    assert [(row["offset_s"], row["name"]) for row in rows] == [
        ("0.0", "initiated"),
        ("1.0", "ringing"),
        ("8.0", "completed"),
    ]


def test_a_part_of_several_ids_lists_them_and_is_a_misuse(folder: Path) -> None:
    done = run(folder, "call", "0000")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "Error: 0000 is a part of several ids:",
        *(f"  {key}" for key in (BUSY, TELNYX, FAILED)),
    ]
    told = json.loads(run(folder, "call", "0000", "--json").stdout)
    assert told["candidates"].split() == [BUSY, TELNYX, FAILED]


def test_a_part_of_no_id_is_a_failure(folder: Path) -> None:
    done = run(folder, "call", "nothing")
    assert (done.exit_code, done.stderr) == (1, "Error: no call has nothing in its id\n")


def test_alerts_that_fire_are_listed_and_check_says_so(folder: Path) -> None:
    done = run(folder, "alerts", "--check")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].split(maxsplit=7)[2:] == [
        "info",
        "firing",
        "call.failed",
        "twilio:CA000000…00000001",
        "1",
        "The call failed with SIP response code 608.",
    ]
    quiet = run(folder, "alerts", "--severity", "critical", "--check")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "No alerts.\n")


@pytest.mark.parametrize("what", ["calls", "alerts"])
def test_where_an_account_has_nothing_it_is_said_that_its_name_is_not_asked_for(
    folder: Path, what: str
) -> None:
    said = f"No {what}: --account takes the provider's id of an account, not its name.\n"
    assert run(folder, what, "--account", "default").stderr == said


def test_conditions_are_listed_without_the_facts_about_calls(tmp_path: Path) -> None:
    with stored(tmp_path, "spam-block", "failing-endpoint-that-recovers"):
        every = objects(run(tmp_path, "alerts", "--history", "--json"))
        assert {one["rule"]["id"] for one in every} >= {"call.failed", "webhook.failing"}
        (condition,) = objects(run(tmp_path, "alerts", "--history", "--conditions", "--json"))
        assert (condition["rule"]["id"], condition["state"]) == ("webhook.failing", "resolved")
        assert run(tmp_path, "alerts", "--conditions", "--check").exit_code == 0


def test_the_history_has_what_is_resolved(tmp_path: Path) -> None:
    with stored(tmp_path, "gap-healed-by-a-poll"):
        assert objects(run(tmp_path, "alerts", "--json")) == []
        (one,) = objects(run(tmp_path, "alerts", "--json", "--history"))
        assert (one["state"], one["revision"]) == ("resolved", 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["calls", "--since", "yesterday"],
        ["calls", "--since", "1h", "--until", "2h"],
        ["calls", "--since", "2026-03-02T10:00:00Z", "--until", "2026-03-02T10:00:00Z"],
        ["calls", "--failed", "--outcome", "busy"],
        ["calls", "--complete", "--incomplete"],
        ["calls", "--after", "no-cursor"],
        ["calls", "--json", "-o", "csv"],
        ["calls", "--min-duration", "nan"],
        ["alerts", "--history", "--state", "firing"],
        ["alerts", "--since", "1h", "--until", "2h"],
        ["alerts", "--conditions", "--rule", "call.failed"],
        ["call", "CA"],
        ["watch"],
    ],
)
def test_what_cannot_be_meant_is_a_misuse(folder: Path, arguments: list[str]) -> None:
    done = run(folder, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_without_an_archive_the_command_says_what_to_start_and_makes_none(tmp_path: Path) -> None:
    done = run(tmp_path, "calls")
    assert done.exit_code == 5
    assert done.stderr.startswith("Error: there is no archive at ")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_answer_is_named_with_its_setting(tmp_path: Path) -> None:
    nobody = "127.0.0.1:1"
    done = run(tmp_path, "calls", CALLSTREAM_API_URL=f"http://{nobody}")
    assert done.exit_code == 5
    assert done.stderr.endswith(": does `callstream api` run there, and is CALLSTREAM_API_URL right?\n")
    done = run(tmp_path, "calls", CALLSTREAM_ARCHIVE_URL=f"postgresql://user:word@{nobody}/calls")
    assert done.exit_code == 5
    assert done.stderr.endswith(": does its database run, and is CALLSTREAM_ARCHIVE_URL right?\n")


def test_a_file_that_is_no_archive_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_text("not a database, but long enough to be taken for one")
    done = run(tmp_path, "call", "CA1")
    assert done.exit_code == 5
    assert "does not answer" in done.stderr
    assert "CALLSTREAM_ARCHIVE_URL" not in done.stderr


def test_hostile_text_of_a_provider_reaches_no_terminal(tmp_path: Path) -> None:
    with stored(tmp_path) as (keeper, _):
        hostile = rb"\u001b[2J=1+1\u202e"
        keeper.keep(
            (role, key, value and value.replace(b"+15*******06", hostile))
            for role, key, value in replayed_whole("spam-block")
        )
        for arguments in (["calls"], ["calls", "-o", "csv"], ["calls", "--json"], ["call", "0001"]):
            done = run(tmp_path, *arguments)
            assert done.exit_code == 0
            assert "\x1b" not in done.stdout
            assert "\u202e" not in done.stdout
            assert "[2J=1+1" in done.stdout


def test_a_setting_that_cannot_be_used_is_one_sentence(folder: Path) -> None:
    done = run(folder, "calls", CALLSTREAM_API_URL="localhost")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: CALLSTREAM_API_URL=localhost must be ")
