"""Where a live stream is: the next offset of each partition of its topics, as one opaque text.

It is the id of each message of the stream, which a client sends back as `Last-Event-ID`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec

from stream.kafka.partitions import TopicPartition

LONGEST = 28_000
"""Characters of a text that is read: of 1000 partitions it has up to 20 000. It must fit into a head."""

MOST_OFFSET = 2**62

Positions = dict[TopicPartition, int]


def write(topics: Sequence[str], positions: Mapping[TopicPartition, int]) -> str:
    """The text; `topics` in an order that stays."""
    by_topic = [
        [positions[one] for one in sorted(one for one in positions if one.topic == topic)] for topic in topics
    ]
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(by_topic)).rstrip(b"=").decode()


def read(text: str, topics: Sequence[str], known: Mapping[TopicPartition, int]) -> Positions | None:
    """The positions; None where the text is none, or is of other partitions than `known`."""
    if len(text) > LONGEST:
        return None
    try:
        packed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        by_topic = msgspec.msgpack.decode(packed, type=list[list[int]])
    except (binascii.Error, msgspec.DecodeError, UnicodeEncodeError, ValueError):
        return None
    if len(by_topic) != len(topics):
        return None
    found: Positions = {}
    for topic, offsets in zip(topics, by_topic, strict=True):
        partitions = sorted(one for one in known if one.topic == topic)
        if len(partitions) != len(offsets) or not all(0 <= one < MOST_OFFSET for one in offsets):
            return None
        found |= dict(zip(partitions, offsets, strict=True))
    return found
