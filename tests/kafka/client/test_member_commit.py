"""A transaction's offsets go with the member and generation that they belong to."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.transaction import TxnOffsetCommitRequest
from aiokafka.protocol.types import Int16, Int32, Int64

from stream.kafka.client.member_commit import (
    CommitResponse,
    Member,
    MemberCommit,
    RequestV3,
    ResponseV3,
    commit_as,
)

PLAIN = TxnOffsetCommitRequest("lane-3", "calls-worker", 7, 2, [("callbacks", [(3, 40, "changelog=9")])])
MEMBER = Member(5, "member-1", "one")


def short(text: str) -> bytes:
    """A string of Kafka's flexible versions."""
    return bytes([len(text) + 1]) + text.encode()


def test_the_request_is_as_the_protocol_lays_it_out() -> None:
    built = MemberCommit(PLAIN, MEMBER).prepare({28: (0, 5)})
    assert isinstance(built, RequestV3)
    assert built.encode() == b"".join(
        [
            short("lane-3"),
            short("calls-worker"),
            Int64.encode(7),
            Int16.encode(2),
            Int32.encode(5),
            short("member-1"),
            short("one"),
            bytes([2]),  # one topic
            short("callbacks"),
            bytes([2]),  # one partition
            Int32.encode(3),
            Int64.encode(40),
            Int32.encode(-1),
            short("changelog=9"),
            bytes([0, 0, 0]),  # no tags: of the partition, the topic, the request
        ]
    )


def test_a_member_without_an_instance_name_sends_none() -> None:
    built = MemberCommit(PLAIN, Member(5, "m", None)).prepare({28: (0, 5)})
    assert short("m") + b"\0" + bytes([2]) + short("callbacks") in built.encode()


def test_an_older_broker_is_refused() -> None:
    with pytest.raises(IncompatibleBrokerVersion, match=r"Kafka 2\.5"):
        MemberCommit(PLAIN, MEMBER).prepare({28: (0, 2)})


def response(code: int) -> bytes:
    return b"".join(
        [
            Int32.encode(0),
            bytes([2]),
            short("callbacks"),
            bytes([2]),
            Int32.encode(3),
            Int16.encode(code),
            bytes([0, 0, 0]),
        ]
    )


class Client:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    async def send(self, node: int, request: Any, *, group: Any = None) -> Any:
        self.asked.append(request)
        return self.answer


@pytest.mark.parametrize(("code", "said"), [(0, 0), (16, 16), (22, 47), (25, 47), (82, 47), (47, 47)])
async def test_a_former_member_is_told_as_a_fenced_producer_is(code: int, said: int) -> None:
    client = Client(ResponseV3.decode(BytesIO(response(code))))
    commit_as(client, MEMBER)
    assert await client.send(1, PLAIN) == CommitResponse([("callbacks", [(3, said)])])
    (asked,) = client.asked
    assert isinstance(asked, MemberCommit)


async def test_whatever_else_is_sent_stays_as_it_is() -> None:
    client = Client("answer")
    commit_as(client, MEMBER)
    other: Any = object()
    assert (await client.send(1, other), client.asked) == ("answer", [other])
