"""The command's exit codes where it cannot begin, and what it says then: one sentence, and no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from stream.cli import roles

HASTY = (
    "from stream.kafka import topics\n"
    "topics.ensure.__kwdefaults__ = {'wait_s': 0.3}\n"
    "from stream.cli.roles import poller\n"
    "poller(prog_name='callstream poller')"
)
"""The command, with a broker waited for less long."""


@pytest.fixture
def without_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command in the test's own process leaves pytest's log handlers as they are."""
    monkeypatch.setattr(roles, "log_to_stderr", lambda *_, **__: None)


def run_here(*arguments: str, **environment: str) -> tuple[int, list[str]]:
    """The same as `run`, in this process."""
    bare = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
    done = CliRunner().invoke(roles.poller, list(arguments), env=bare | environment)
    assert done.stdout == ""
    return done.exit_code, done.stderr.splitlines()


def run(*arguments: str, **environment: str) -> tuple[int, list[str]]:
    """(exit code, lines of stderr but for the Kafka client's) of the command with these settings alone."""
    bare = {name: said for name, said in os.environ.items() if not name.startswith("CALLSTREAM_")}
    done = subprocess.run(
        [sys.executable, "-c", HASTY, *arguments],
        env=bare | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, [line for line in done.stderr.splitlines() if " aiokafka" not in line]


@pytest.mark.usefixtures("without_log")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CALLSTREAM_POLL_RATE", "0", "CALLSTREAM_POLL_RATE=0 must be a number from 0.001 to 10000"),
        ("CALLSTREAM_POLLER_LISTEN", "here", "CALLSTREAM_POLLER_LISTEN=here must be host:port"),
        (
            "CALLSTREAM_POLLERS",
            "3",
            "CALLSTREAM_POLLERS is not a setting of callstream (docs/settings.md lists all of them)",
        ),
        (
            "CALLSTREAM_POLL_ACCOUNTS",
            '[{"provider":"twilio","id":"AC1","secret":"hush","rate":-3}]',
            "CALLSTREAM_POLL_ACCOUNTS table 1: rate must be above 0 and at most 10000",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_code_2_and_nothing_is_begun(name: str, value: str, said: str) -> None:
    assert run_here(CALLSTREAM_KAFKA="127.0.0.1:1", **{name: value}) == (2, [f"Error: {said}"])


def test_a_kafka_that_is_not_there_is_said_with_code_4() -> None:
    code, said = run(CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (code, len(said)) == (4, 1)
    assert said[0].startswith("Error: ")
    assert "127.0.0.1:1" in said[0]


def test_with_a_log_in_json_what_keeps_a_role_from_starting_is_a_line_of_it() -> None:
    code, said = run(CALLSTREAM_KAFKA="127.0.0.1:1", CALLSTREAM_LOG_FORMAT="json")
    lines = [line for line in map(json.loads, said) if line["logger"].startswith("callstream")]
    assert (code, len(lines)) == (4, 1)
    assert (lines[0]["level"], lines[0]["logger"]) == ("critical", "callstream")
    assert "127.0.0.1:1" in lines[0]["message"]


@pytest.mark.usefixtures("without_log")
def test_an_unknown_option_is_a_usage_error() -> None:
    code, said = run_here("--fast")
    assert code == 2
    assert said[-1].startswith("Error: No such option: --fast")
