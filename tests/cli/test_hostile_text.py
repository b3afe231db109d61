"""What strangers send does nothing to an operator's terminal or log."""

from __future__ import annotations

import io
import json
import logging
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress
from rich.table import Table

from stream.cli.local.figures import Figures, WatchedRole
from stream.cli.local.notices import AlertNotice, alert_line, read_notice
from stream.cli.local.plain_lines import plain_line
from stream.cli.local.service_figures import RoleHealth, ServiceFigures
from stream.cli.records.tail import cells
from stream.cli.support.drawing import PlainColumn, PlainConsole, linked, safe_address, text
from stream.cli.support.terminal import Fault, Misuse, label, say
from stream.cli.watch.lines import address_line
from stream.cli.watch.strip import strip
from stream.service.metrics import worker_families as f
from stream.service.untrusted import LineFormatter, escaped, escaped_lines

HOSTILE = [
    "[/x]",
    "[bold red]",
    "[link=https://evil.test]x[/link]",
    ":warning:",
    "\x1b[2J\x1b]0;owned\x07",
    "\x1b]8;;https://evil.test\x1b\\",
    "\x9b31m",
    "\x00\x08\x7f\x85",
    "a\rb\nc\x0b\x0cd",
    "\u202e\u2066\u2069\u200f\u061c",
    "\u200b\u200d\ufeff\u2060\u00ad",
    "\u2028\u2029",
    "\ud800\udc80",
    "\U000e0041\U0001f468\u200d\U0001f469",
    "\u3164a\u115f\u1160\uffa0\u2800",
    "b\u034f\u17b4\u180b\ufe0f\U000e0100",
]
_KINDS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
UNSEEN = "".join(
    map(
        chr,
        [
            *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ],
    )
)
"""Letters, marks and symbols that nobody sees: fillers, selectors of variants, braille without a dot."""


def is_plain(shown: str) -> bool:
    """Whether each line holds nothing but what is seen, from left to right."""
    return all(
        letter == "\n" or (unicodedata.category(letter) not in _KINDS and letter not in UNSEEN)
        for letter in shown
    )


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_text_is_shown_and_does_nothing(word: str) -> None:
    assert is_plain(escaped(word))
    assert "\n" not in escaped(word)
    escaped(word).encode()


@given(st.text())
def test_any_text_is_one_plain_line_and_within_json_the_same_json(word: str) -> None:
    assert is_plain(escaped(word))
    assert len(escaped(word).splitlines()) <= 1
    written = json.dumps(word, ensure_ascii=False)
    assert json.loads(escaped(written)) == word


def test_each_character_that_is_not_seen_is_escaped() -> None:
    assert escaped("aé中❤") == "aé中❤"
    for letter in UNSEEN:
        assert json.loads(f'"{escaped(letter)}"') == letter
        assert escaped(letter).isascii()


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=UNSEEN)))
def test_what_can_be_seen_stays_as_it_is(word: str) -> None:
    assert escaped(word) == word


def hostile_notice(word: str) -> AlertNotice:
    """An alert of which everything is the word."""
    notice = read_notice(
        json.dumps(
            {
                **dict.fromkeys(("detected_at", "severity", "provider"), word),
                "rule": {"id": word},
                "scope": {"type": word, "id": word},
                "reason": {"text": word},
            }
        ).encode()
    )
    assert notice is not None
    return notice


def hostile_role(word: str) -> WatchedRole:
    role = WatchedRole("")
    role.saw(Figures(1.0, {f.WORKER_STATE: {word: 1.0}, f.EVENTS_PROCESSED: {word: 2.0}}))
    return role


@pytest.mark.parametrize("word", HOSTILE)
def test_figures_and_addresses_of_the_view_are_plain_and_a_hostile_address_is_no_link(word: str) -> None:
    console = PlainConsole(width=300, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(strip(ServiceFigures(roles=(RoleHealth(word, True),)), 290), address_line(word, word))
    console.print(address_line("page", f"https://x{word}"))
    shown = console.file.getvalue()
    assert is_plain(shown)
    assert escaped(word)[:20] in shown


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://x\x1b\\evil", "https://x y", "", None])
def test_an_address_that_could_control_the_terminal_is_no_link(address: str | None) -> None:
    assert safe_address(address) is None
    assert not linked(text("x"), address).spans


@pytest.mark.parametrize("word", HOSTILE)
def test_a_line_of_output_is_one_plain_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"alert: {alert_line(hostile_notice(word))}")
    say(plain_line(hostile_role(word), None, 1.0))
    say(word, word)
    label(word, "red", word)
    say(word, err=True)
    out, err = capsys.readouterr()
    assert is_plain(out.replace("\t", ""))
    assert is_plain(err)
    assert (out.count("\n"), err.count("\n")) == (4, 1)


@pytest.mark.parametrize("word", HOSTILE)
def test_tables_bars_and_styled_words_take_no_markup(word: str) -> None:
    console = PlainConsole(width=300, file=io.StringIO())
    table = Table(box=None)
    table.add_column(word)
    table.add_row(word)
    console.print(table, word, text(word, "red"))
    with Progress(PlainColumn("{task.description} {task.fields[said]}"), console=console) as bars:
        bars.add_task(word, said=word)
    shown = console.file.getvalue()
    assert is_plain(shown)
    assert escaped(word)[:20] in shown


@pytest.mark.parametrize("word", HOSTILE)
def test_an_error_that_ends_a_command_is_plain(word: str) -> None:
    for kind in (Fault, Misuse):
        assert is_plain(kind(word).format_message())
    assert Fault(f"two\n{word}").format_message().startswith("two\n")


def test_a_record_with_line_breaks_in_its_json_is_one_line_and_the_same_json() -> None:
    pretty = b'{\n\t"a": "b\\nc",\r\n  "d": "\xc2\x9b\xe2\x80\xae"}'
    key, value = cells(b"twilio:\x1b[2J\xff", pretty)
    assert "\n" not in value
    assert json.loads(escaped(value)) == json.loads(pretty)
    assert is_plain(escaped(key))
    assert cells(None, None) == ["", "null"]
    assert escaped(cells(None, b"no\njson")[1]) == "no\\njson"


def logged(message: str, *arguments: object, error: BaseException | None = None) -> str:
    record = logging.LogRecord("callstream", logging.ERROR, "f", 1, message, arguments, None)
    if error is not None:
        record.exc_info = (type(error), error, None)
    return LineFormatter("%(levelname)s %(name)s: %(message)s").format(record)


@pytest.mark.parametrize("word", [*HOSTILE, "x\nERROR callstream: forged"])
def test_a_log_record_is_one_line_and_a_traceback_cannot_look_like_one(word: str) -> None:
    assert logged("a %s b", word) == f"ERROR callstream: a {escaped(word)} b"
    shown = logged("a", error=ValueError(word))
    assert is_plain(shown)
    first, *rest = shown.split("\n")
    assert first == "ERROR callstream: a"
    assert rest
    assert all(one.startswith("  ") for one in rest)


def test_our_own_lines_stay_lines() -> None:
    assert escaped_lines("a\nb\x1b") == "a\nb\\u001b"


def test_the_time_of_a_line_is_utc_wherever_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.LogRecord("callstream", logging.INFO, "file.py", 1, "gone", None, None)
    record.created, record.msecs = 1_767_225_600.25, 250.0
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert LineFormatter("%(asctime)s %(message)s").format(record) == "2026-01-01T00:00:00.250Z gone"
    finally:
        monkeypatch.undo()
        time.tzset()
