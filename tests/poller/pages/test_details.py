"""A listed row is replaced by its single form, and is written as listed where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from stream.poller.pages.details import MAX_DETAILS
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from tests.poller.accounts import ACCOUNT_SID
from tests.poller.fake_provider import Answering, Reply, hung_up
from tests.poller.pages.test_account_reader import ReaderSetup, reader_setup

LIST = "/list"


def sid(number: int) -> str:
    return f"CA{number:032x}"


def row(number: int, **more: Any) -> bytes:
    said = {"sid": sid(number), "account_sid": ACCOUNT_SID, "status": "completed", "duration": "0"}
    return orjson.dumps(said | more)


def page(*rows: bytes) -> Reply:
    return Reply(200, b'{"calls":[%s],"next_page_uri":null}' % b",".join(rows))


def single_url(account: Account, key: str, said: dict[str, Any]) -> str | None:
    assert key == f"twilio:{said['sid']}"
    return f"{account.api_url}/{said['sid']}" if said["status"] == "completed" else None


DETAILED = replace(RESOURCES["twilio_call"], detail_url=single_url, refused_by=frozenset({403, 404}))


async def read(at: ReaderSetup, *, skip_known: bool = True) -> None:
    found = await at.reader.read_window(
        DETAILED, at.account, at.provider.url + LIST, "freshness", skip_known=skip_known
    )
    assert found.outcome == "success"


def written(at: ReaderSetup) -> list[Any]:
    return [orjson.loads(value)["body"] for value in at.broker.taken]


async def test_the_single_form_is_written_instead_of_the_listed_row() -> None:
    single = row(1, price="-0.1")
    async with reader_setup() as at:
        at.provider.at(LIST, page(row(1), row(2, status="ringing")))
        at.provider.at(f"/{sid(1)}", Reply(200, single))
        await read(at)
        assert written(at) == [orjson.loads(single), orjson.loads(row(2, status="ringing"))]
        await read(at)
        assert len(at.broker.taken) == 2, "the listed row is known, and so is its single form"
        assert at.provider.paths == [LIST, f"/{sid(1)}", LIST]
        await read(at, skip_known=False)
    assert len(at.broker.taken) == 4
    assert at.provider.paths[3:] == [LIST, f"/{sid(1)}"]
    assert {answer[0] for answer in at.limiters.patient.answers} == {"freshness"}


@pytest.mark.parametrize(
    ("answer", "dead_letters"), [(Reply(404), 0), (Reply(200, b"<html>"), 1), (Reply(200, b'{"sid":7}'), 1)]
)
async def test_a_row_without_a_single_form_is_written_as_listed(answer: Reply, dead_letters: int) -> None:
    async with reader_setup() as at:
        at.provider.at(LIST, page(row(1), row(2)))
        at.provider.at(f"/{sid(1)}", answer)
        at.provider.at(f"/{sid(2)}", Reply(200, row(2, price="-0.1")))
        await read(at)
        del at.broker.taken[2:]  # the dead letter
        assert written(at) == [orjson.loads(row(1)), orjson.loads(row(2, price="-0.1"))]
        assert len(at.metrics.dead_letters) == dead_letters
        assert at.reader.forbidden.sources(at.account) == [], "a missing row turns off no list"


@pytest.mark.parametrize("answer", [Reply(500), Reply(401), hung_up])
async def test_after_a_failure_the_other_rows_of_the_window_stay_as_listed(
    answer: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.poller.pages.paged_read.BACKOFF_S", 0.0)
    async with reader_setup() as at:
        at.provider.at(LIST, page(row(1), row(2)))
        at.provider.at(f"/{sid(1)}", answer)
        await read(at)
        assert written(at) == [orjson.loads(row(1)), orjson.loads(row(2))]
    assert set(at.provider.paths) == {LIST, f"/{sid(1)}"}


async def test_a_window_reads_a_bounded_number_of_single_forms() -> None:
    numbers = range(MAX_DETAILS + 3)
    async with reader_setup() as at:
        at.provider.at(LIST, page(*map(row, numbers)))
        await read(at)
    assert len(at.provider.paths) == 1 + MAX_DETAILS
    assert written(at) == [orjson.loads(row(number)) for number in numbers]
