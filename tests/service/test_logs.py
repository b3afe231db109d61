"""The text of an error is not in the log, whichever logger and call writes it."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stream.core.events import DecodeError
from stream.service import logs, untrusted

NUMBER = "+15005550006"


class ForeignJsonFormatter(logging.Formatter):
    """As somebody may put one in: all that a record says, by name."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"message": record.getMessage(), "error": record.exc_text or ""}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = logging.getLogRecordFactory()
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    logs.install()
    yield
    logging.setLogRecordFactory(before)


FORMATTERS = [
    logging.Formatter("%(levelname)s %(name)s: %(message)s"),
    untrusted.LineFormatter("%(levelname)s %(name)s: %(message)s"),
    untrusted.JsonFormatter(),
    ForeignJsonFormatter(),
]


@pytest.fixture(params=FORMATTERS, ids=["logging", "text", "json", "foreign"])
def written(installed: None, request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What a handler of the root logger writes, in text and in JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param)
    logging.getLogger().addHandler(handler)
    client, level = logging.getLogger("aiokafka"), logging.getLogger("aiokafka").level
    client.setLevel(logging.NOTSET)  # a command that was run before may have silenced it
    yield stream
    client.setLevel(level)
    logging.getLogger().removeHandler(handler)


def nobody_has(text: str, *kinds: str) -> None:
    assert "500555" not in text
    for kind in kinds:
        assert kind in text


@pytest.mark.parametrize(
    "name", ["callstream.lanes", "aiokafka.consumer", "mode.threads", "faust", "aiohttp"]
)
def test_an_error_that_is_logged_is_told_without_its_text(written: io.StringIO, name: str) -> None:
    log = logging.getLogger(name)
    try:
        try:
            {}[NUMBER]
        except KeyError as error:
            raise DecodeError("internal_error", "half-way") from error
    except DecodeError:
        log.exception("lane %d", 3)
        log.error("again", exc_info=True)  # noqa: G201
    said = written.getvalue()
    nobody_has(said, "lane 3", "again", "DecodeError: internal_error: half-way", "caused by KeyError")


def test_an_error_among_the_arguments_or_in_the_place_of_a_message_is_told_without_its_text(
    written: io.StringIO,
) -> None:
    log = logging.getLogger("aiokafka.client")
    log.error("it failed: %s", KeyError(NUMBER))
    log.error("it failed: %r, %d times", ValueError(NUMBER), 2)
    log.error("it failed: %(error)s", {"error": OSError(NUMBER)})
    log.error(LookupError(NUMBER))
    log.error("with one", exc_info=RuntimeError(NUMBER))
    said = written.getvalue()
    nobody_has(
        said, "failed: KeyError", "failed: ValueError, 2 times", "OSError", "LookupError", "RuntimeError"
    )


def test_a_message_that_its_arguments_do_not_fit_is_logged_without_them(
    written: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("aiohttp.server").warning("from %d", NUMBER)
    logging.getLogger("asyncio").warning("to %s and %s", NUMBER)
    nobody_has(written.getvalue(), "from %d", "to %s and %s")
    assert capsys.readouterr().err == ""


def test_errors_among_others_and_a_task_with_an_error_are_told_without_their_text(
    written: io.StringIO,
) -> None:
    log = logging.getLogger("mode")

    async def fail() -> None:
        raise KeyError(NUMBER)

    async def gather() -> None:
        task = asyncio.create_task(fail(), name=NUMBER)
        await asyncio.wait([task])
        log.error("ended: %r %s", task, [task, 3])
        log.error("of them: %r", await asyncio.gather(task, return_exceptions=True))

    asyncio.run(gather())
    log.error("by name: %s and %s", {"a": KeyError(NUMBER)}, (1, ValueError(NUMBER)))
    log.error("as it is: %s", [1, "two"])
    said = written.getvalue()
    nobody_has(said, "ended: Task [Task, 3]", "of them: [KeyError]", "{'a': KeyError}", "[1, ValueError]")
    assert "as it is: [1, 'two']" in said


def test_a_group_with_a_number_in_it_is_told_without_it(written: io.StringIO) -> None:
    try:
        raise ExceptionGroup(NUMBER, [KeyError(NUMBER), ExceptionGroup("more", [ValueError(NUMBER)])])
    except ExceptionGroup:
        logging.getLogger("callstream").exception("all of them")
    nobody_has(written.getvalue(), "ExceptionGroup", "KeyError", "ValueError")


def test_a_task_that_nobody_awaited_is_told_without_what_it_says(written: io.StringIO) -> None:
    async def fail() -> None:
        raise KeyError(NUMBER)

    async def forget() -> None:
        task = asyncio.create_task(fail(), name=NUMBER)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()

    asyncio.run(forget())
    nobody_has(written.getvalue(), "Task exception was never retrieved", "KeyError", "fail")


def test_a_callback_that_fails_is_told_without_its_arguments(written: io.StringIO) -> None:
    def fail(number: str) -> None:
        raise LookupError(number)

    async def call() -> None:
        asyncio.get_running_loop().call_soon(fail, NUMBER)
        await asyncio.sleep(0)

    asyncio.run(call())
    nobody_has(written.getvalue(), "Exception in callback", "LookupError")


@pytest.mark.usefixtures("installed")
def test_an_error_that_nobody_caught_is_printed_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError(NUMBER)
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    nobody_has(said, "KeyError")


@pytest.mark.usefixtures("installed")
def test_one_in_a_thread_and_one_of_a_destructor_are_printed_without_their_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Sly:
        def __del__(self) -> None:
            raise ValueError(NUMBER)

        def __repr__(self) -> str:
            return NUMBER

    def fail() -> None:
        raise KeyError(NUMBER)

    thread = threading.Thread(target=fail, name=NUMBER)
    thread.start()
    thread.join()
    sly: Any = Sly()
    del sly
    gc.collect()
    nobody_has(capsys.readouterr().err, "in a thread: KeyError", "not raised: ValueError")


def test_a_record_knows_the_kind_of_error_that_it_was_logged_with(installed: None) -> None:
    seen: list[Any] = []
    log = logging.Logger("alone")  # noqa: LOG001 - of this test alone
    log.addFilter(lambda record: seen.append(record) or True)
    try:
        raise KeyError(NUMBER)
    except KeyError:
        log.exception("it failed")
    log.error("no error")
    assert [record.failure for record in seen] == [KeyError, None]


def test_what_is_not_an_error_is_logged_as_it_is(written: io.StringIO) -> None:
    logging.getLogger("callstream").warning("%s of %s, %(%)s"[:9], "one", 2)
    logging.getLogger("callstream").warning("100 % of it")
    logging.getLogger("asyncio").warning("socket.send() raised exception.")
    assert "one of 2" in written.getvalue()
    assert "100 % of it" in written.getvalue()
    assert "socket.send" in written.getvalue()


def test_a_text_that_is_logged_is_one_line_whichever_formatter_writes_it(written: io.StringIO) -> None:
    logging.getLogger("callstream").error("a %s", "b\n2026 ERROR callstream: forged\x1b[2J\u202e\x9b")
    said = written.getvalue()
    assert said.count("\n") == 1
    assert not {"\x1b", "\u202e", "\x9b"} & set(said)


def test_a_line_in_json_says_when_where_and_what_and_of_an_error_its_kind_and_its_places(
    installed: None,
) -> None:
    def said(record: logging.LogRecord, process: int | None = None) -> dict[str, str]:
        record.created = 1_772_445_600.5
        line = untrusted.JsonFormatter(process).format(record)
        assert line.isascii()
        assert "\n" not in line
        found: dict[str, str] = json.loads(line)
        return found

    make = logging.getLogger("callstream.lanes").makeRecord
    plain = {"time": "2026-03-02T10:00:00.500Z", "level": "warning", "logger": "callstream.lanes"}
    record = make("callstream.lanes", logging.WARNING, "x.py", 1, "lane %d: äöü", (7,), None)
    assert said(record) == plain | {"message": "lane 7: äöü"}
    assert said(record, 2) == plain | {"message": "lane 7: äöü", "process": 2}
    failed = KeyError(NUMBER)
    record = make("callstream.lanes", logging.WARNING, "x.py", 1, "it failed", (), (KeyError, failed, None))
    assert said(record) == plain | {"message": "it failed", "error": "KeyError", "trace": "KeyError"}
