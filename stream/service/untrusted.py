"""Makes untrusted text safe for a terminal or a log: one line, every character visible.

No character passes that moves a cursor, changes a colour, ends a line, reverses the reading order or is
invisible. It is shown as JSON escapes it (`\\u001b`), so that JSON stays JSON.
"""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, datetime

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Printable and yet invisible: fillers, variation selectors (Unicode's Default_Ignorable_Code_Point) and the
blank braille pattern. Two texts that look alike could differ by them.
"""


def escaped(text: str) -> str:
    """The text on one line, with each character escaped that is not printable or is invisible.

    Not printable in Unicode are C0 and C1 controls, DEL, direction and zero-width marks, lone surrogates,
    line separators and unassigned characters.
    """
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)
    return text if text.isascii() else _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def escaped_lines(text: str) -> str:
    """The same for our own text of several lines, which stay lines."""
    return "\n".join(map(escaped, text.split("\n")))


class JsonFormatter(logging.Formatter):
    """A record as a JSON object on one line, in ASCII: `time` (UTC), `level`, `logger`, `message`, and of one
    that was logged with an error its type (`error`) and where it was raised (`trace`).
    """

    def __init__(self, process: int | None = None) -> None:
        """`process`: the number of a worker's process, which each record then has."""
        super().__init__()
        self._more = {} if process is None else {"process": process}

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, str | int | None] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._more,
        }
        if record.exc_text:
            failure = getattr(record, "failure", None)
            said |= {"error": failure.__name__ if failure else None, "trace": record.exc_text}
        return json.dumps(said)


class LineFormatter(logging.Formatter):
    """A record on one line, its time in UTC.

    A traceback follows indented, so that no text in it looks like a record.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        lines = [escaped(self.formatMessage(record))]
        for text in (record.exc_text, record.stack_info):
            lines += [f"  {escaped(line)}" for line in text.split("\n")] if text else []
        return "\n".join(lines)
