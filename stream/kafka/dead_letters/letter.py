"""One dead letter, read from its topic, and whether writing it back can help.

The topic also has notes: records without key and value, whose header `redriven` names the offsets of letters
of the same partition that were written back. So a repeated redrive knows what is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from stream.core.call.ownership import check_signer
from stream.core.events import UNDECODABLE, DecodeError
from stream.core.fetches import FETCH_RESULT
from stream.core.forgetting import FORGET
from stream.core.timestamps import utc
from stream.kafka.envelope_codec import read_envelope
from stream.kafka.topics import Topics
from stream.sources import DECODERS

NOTE = "redriven"
REDRIVEN_FROM = "redriven_from"
"""Header of a record that was written back: the id of its dead letter."""

WHY = ("reason", "stage", "error", "source_topic", "source_partition", "source_offset")
"""The first headers of a dead letter; the record's own follow."""

_OFFSETS = re.compile(rb"[0-9]{1,19}(?:,[0-9]{1,19})*")

NO_TOPIC = "it was in no topic: the poller reads the resource again by itself"
NO_DELIVERY = "it is not a delivery: the worker retries the call every hour"
CUT = "its value was cut to fit: the original bytes are gone"
NO_KEY = "it has no key, so it names no call: the worker would refuse it again"
UNREADABLE = "this version cannot read it either"
OTHER_KEY = "its key is not the call that its body names: the worker would refuse it again"


class StoredLetter(NamedTuple):
    """A dead letter. `at_us`: when it was written; `own`: the original record's headers, bytes or None."""

    topic: str
    partition: int
    offset: int
    at_us: int
    key: bytes | None
    value: bytes | None
    why: dict[str, str]
    own: list[tuple[str, Any]]

    @property
    def id(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def at(self) -> str:
        return utc(self.at_us)

    @property
    def own_texts(self) -> dict[str, str]:
        return {name: _text(said) for name, said in self.own}

    @property
    def source(self) -> str:
        """The source that its envelope names, `unknown` where it names none."""
        try:
            return msgspec.json.decode(self.value or b"", type=_Sourced).source
        except UNDECODABLE:
            return "unknown"


def _text(said: bytes | None) -> str:
    """Of a header, which may have no value."""
    return (said or b"").decode("utf-8", "replace")


class _Sourced(msgspec.Struct):
    source: str


def read_letter(record: Any) -> StoredLetter | list[int]:
    """The letter in a record of the topic; of a note, the offsets of the letters that were written back."""
    headers = list(record.headers)
    if len(headers) == 1 and headers[0][0] == NOTE and _OFFSETS.fullmatch(headers[0][1] or b""):
        return [int(offset) for offset in headers[0][1].split(b",")]
    why = {name: _text(said) for name, said in headers[: len(WHY)] if name in WHY}
    return StoredLetter(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp * 1000,
        record.key,
        record.value,
        why,
        headers[len(why) :],
    )


def note(letters: Iterable[StoredLetter]) -> list[tuple[str, bytes]]:
    """The headers of the note that says which letters of one partition were written back."""
    return [(NOTE, b",".join(b"%d" % letter.offset for letter in letters))]


def hopeless(letter: StoredLetter, topics: Topics) -> str | None:
    """Why it is not written back: a sentence; None if that can help.

    A delivery is read as the worker reads it: what this version cannot read, the worker would refuse again.
    """
    source_topic = letter.why.get("source_topic")
    unread = (topics.scopes, topics.fetches, topics.alerts)
    if source_topic == topics.ticks:
        return NO_DELIVERY
    if source_topic not in (topics.callbacks, topics.polled, *unread):
        return NO_TOPIC
    if any(name == "truncated" for name, _ in letter.own):
        return CUT
    if source_topic in unread:
        return None
    if letter.key is None:
        return NO_KEY
    try:
        envelope = read_envelope(letter.value)
        if envelope.source in (FETCH_RESULT, FORGET):
            return None
        readings = DECODERS[envelope.source](envelope)
        check_signer(envelope, readings)
    except DecodeError as error:
        return f"{UNREADABLE} ({error})"
    except Exception as error:  # noqa: BLE001  what an `internal_error` is: its text may hold what was sent
        return f"{UNREADABLE} ({type(error).__name__})"
    return None if letter.key == readings[0].event.key.encode() else OTHER_KEY
