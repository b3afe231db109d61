"""Calls are found by the hash of a number where one stands beside its mask, else by the mask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select, text

from stream.archive.call_lists import call_list
from stream.archive.database import connect
from stream.archive.questions import CallFilter
from stream.archive.reader import Archive, open_archive
from stream.archive.store.migrate import migrate
from stream.archive.store.schema import calls
from stream.core.privacy.masking import Privacy
from tests.archive.kept import Keeper, an_archive, replayed, values
from tests.archive.test_reader import a_record, number_of

NUMBER, ITS_TWIN = "+14155550142", "+14155559942"
MASK = Privacy("masked").address(NUMBER)
HASHED = Privacy("hashed", "s3cret").address
FROM = Privacy("masked").address("+15005550006")
SINCE = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def keyed(kept: tuple[Keeper, Archive]) -> Iterator[tuple[Keeper, Archive]]:
    """With calls of the number in two spellings, of another one with its mask, and two with a mask alone."""
    keeper, _ = kept
    keeper.keep(
        [
            a_record(1, to=MASK, to_hash=HASHED(NUMBER)),
            a_record(2, to=MASK, to_hash=HASHED(ITS_TWIN)),
            a_record(3, to=MASK, to_hash=None),
            a_record(4, **{"from": MASK, "from_hash": None, "to_hash": HASHED("+491234567")}),
            a_record(5, to="141******42", to_hash=HASHED("14155550142")),
        ]
    )
    archive = open_archive(keeper.url, "s3cret")
    yield keeper, archive
    archive.close()


def found(archive: Archive, **wanted: Any) -> list[int]:
    return [number_of(one) for one in archive.calls(CallFilter(**wanted)).items]


def test_a_whole_number_is_found_by_its_hash_and_by_the_mask_where_there_is_no_hash(
    keyed: tuple[Keeper, Archive],
) -> None:
    _, archive = keyed
    assert found(archive, number=NUMBER) == [5, 4, 3, 1]
    assert found(archive, number=ITS_TWIN) == [4, 3, 2]
    assert found(archive, number=NUMBER, masked_too=False) == [5, 1]
    assert found(archive, number=HASHED(NUMBER)) == [5, 1]
    asked = CallFilter(number=NUMBER, since=SINCE, until=SINCE + timedelta(hours=1))
    assert sum(one.count for one in archive.calls_by_minute(asked)) == 4


def test_a_mask_finds_all_calls_that_show_it(keyed: tuple[Keeper, Archive]) -> None:
    _, archive = keyed
    assert found(archive, number=MASK) == found(archive, number=MASK, masked_too=False) == [4, 3, 2, 1]


def test_without_the_key_a_number_finds_all_calls_with_its_mask(keyed: tuple[Keeper, Archive]) -> None:
    archive = open_archive(keyed[0].url)
    assert found(archive, number=NUMBER) == [4, 3, 2, 1]
    assert found(archive, number=NUMBER, masked_too=False) == []
    archive.close()


def test_a_call_that_has_not_ended_is_found_by_the_hash_in_its_events(kept: tuple[Keeper, Archive]) -> None:
    keeper, _ = kept
    [event, *_] = values(replayed("amd"), "events")
    ends = {"From": FROM, "To": MASK}
    event |= {"attributes": ends, "to_hash": HASHED(NUMBER), "from_hash": HASHED("+15005550006")}
    bare = event | {"id": "first", "attributes": {"To": MASK}}
    del bare["to_hash"], bare["from_hash"]
    keeper.keep([("events", b"", orjson.dumps(one)) for one in (bare, event)])
    archive = open_archive(keeper.url, "s3cret")
    assert [one.key for one in archive.calls(CallFilter(number=NUMBER)).items] == [event["key"]]
    assert archive.calls(CallFilter(number=ITS_TWIN)).items == []
    record = values(replayed("amd"), "ended")[-1]
    assert record["key"] == event["key"]
    keeper.keep([("ended", b"", orjson.dumps(record | {"to": MASK, "to_hash": HASHED(ITS_TWIN)}))])
    assert archive.calls(CallFilter(number=NUMBER)).items == []
    archive.close()


def test_each_form_of_a_number_has_an_index_in_the_order_of_lists(tmp_path: Path) -> None:
    """No form reads calls that another number with its mask has made, however many these are."""
    with an_archive(tmp_path) as (keeper, _):
        archive = open_archive(keeper.url, "s3cret")
        wanted = CallFilter(number=NUMBER)
        query = call_list(wanted, archive._forms_of(wanted), 50)
        engine = connect(keeper.url, reads_only=True)
        with engine.connect() as connection:
            asked = query.compile(engine, compile_kwargs={"literal_binds": True})
            plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
        archive.close()
        engine.dispose()
    searched = [line for line in plan if line.startswith("SEARCH calls USING")]
    for index in ("number", "hash"):
        assert sum(f"calls_by_from_{index}" in line for line in searched) >= 1, plan
        assert sum(f"calls_by_to_{index}" in line for line in searched) >= 1, plan
    assert sum("calls_by_hashed_to_number" in line for line in searched) == 1, plan
    assert not [line for line in plan if line.startswith("SCAN calls")], plan


def test_rows_of_the_first_version_get_empty_hashes_and_stay(where: Path | str) -> None:
    url = where if isinstance(where, str) else f"sqlite:///{where / 'archive.sqlite'}"
    engine = connect(url, reads_only=False)
    migrate(engine, "0001")
    with engine.begin() as connection:
        for number, to in ((1, MASK), (2, None)):
            connection.execute(
                text(
                    "INSERT INTO calls (no, key, day, provider, call_id, to_number, error_codes, at_us, "
                    "settled, revision, updated_us) VALUES (:no, :key, 1, 'twilio', 'CA', :to, '[]', 5, "
                    ":settled, 1, 5)"
                ),
                {"no": number, "key": f"twilio:CA{number}", "to": to, "settled": True},
            )
    migrate(engine)
    with engine.connect() as connection:
        rows = connection.execute(select(calls.c.key, calls.c.to_number, calls.c.to_hash)).all()
    engine.dispose()
    assert sorted(rows) == [("twilio:CA1", MASK, None), ("twilio:CA2", None, None)]
    archive = open_archive(url, "s3cret")
    assert [one.key for one in archive.calls(CallFilter(number=NUMBER)).items] == ["twilio:CA1"]
    archive.close()
